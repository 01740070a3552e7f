"""Plan files: YAML 1.2 or JSON in, plain data with lines and columns out."""
