"""Templates to pages: everything that is put into one is escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from kitsune.dashboard.settings import Authentication
from kitsune.version import __version__

FOLDER = Path(__file__).parent
#: `autoescape` holds for every template, whatever its name; a variable that nobody gave is an error.
ENVIRONMENT = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> Response:
    """Return a page.

    Its template finds beside its own context: `user` (None for a stranger), `path`, `version`, `logs_out` (whether
    there is a session to end), `trouble` (why what is shown may be out of date, or None) and `flash` (None).
    """
    state = request.app.state
    given = {
        "user": request.scope.get("user"),
        "path": request.url.path,
        "version": __version__,
        "logs_out": state.settings.authentication is Authentication.LOCAL,
        "trouble": state.board.trouble,
        "flash": None,
    }
    text = ENVIRONMENT.get_template(template).render(given | context)
    return HTMLResponse(text, status)
