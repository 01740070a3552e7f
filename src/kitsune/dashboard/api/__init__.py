"""The JSON API under `/api/v1`: operations declared once, which are served and described in OpenAPI."""
