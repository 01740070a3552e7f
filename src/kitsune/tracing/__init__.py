"""OpenTelemetry traces of rollouts, where the standard `OTEL_*` variables ask for them (extra `otel`)."""
