"""A rollout as a document of its own: Markdown, HTML, JSON or JUnit, made from what the rollout reports."""
