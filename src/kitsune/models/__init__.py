"""What plans, requests and results look like; pure pydantic, no input or output."""
