"""Who is asking: everybody (on the loopback), a session, or whom a trusted proxy names."""

import ipaddress

from starlette.requests import HTTPConnection

from kitsune.dashboard.roles import Role, User
from kitsune.dashboard.sessions import Sessions
from kitsune.dashboard.settings import Authentication, DashboardSettings
from kitsune.dashboard.users import Users

_LONGEST_NAME = 100
#: How a group is told from a user among those who have a role.
_GROUP = "group:"


class Identity:
    """Tells who sends a request.

    Args:
        settings: How that is known.
        sessions: Those who have logged in.
        somebody: Who everybody is where nobody logs in.

    Raises:
        DashboardRefused: The users file cannot be used.
    """

    def __init__(self, settings: DashboardSettings, sessions: Sessions, *, somebody: str) -> None:
        self._settings, self._sessions = settings, sessions
        self._somebody = User(somebody, Role.APPROVER)
        self._proxies = [ipaddress.ip_network(proxy) for proxy in settings.trusted_proxies]
        self.users = Users(settings.users_file) if settings.users_file else None

    @property
    def cookie(self) -> str:
        """The cookie that holds a session's id; with the prefix, browsers take it by https from this host only."""
        return "__Host-kitsune" if self._settings.is_secure else "kitsune"

    def user_of(self, request: HTTPConnection, *, touch: bool = True) -> User | None:
        """Return who sends a request, or None for a stranger."""
        match self._settings.authentication:
            case Authentication.NONE:
                return self._somebody
            case Authentication.LOCAL:
                return self._of_session(request, touch=touch)
            case Authentication.HEADER:
                return self._of_header(request)

    def address_of(self, request: HTTPConnection) -> str:
        """Return the address of whoever sends a request; a trusted proxy is believed about it."""
        peer = request.client.host if request.client else ""
        if not self._is_trusted(peer):
            return peer
        for address in reversed(request.headers.get("x-forwarded-for", "").split(",")):
            if address.strip() and not self._is_trusted(address.strip()):
                return address.strip()[:_LONGEST_NAME]
        return peer

    def _of_session(self, request: HTTPConnection, *, touch: bool) -> User | None:
        session = self._sessions.find(request.cookies.get(self.cookie, ""), touch=touch)
        user = self.users.find(session.name) if session and self.users else None
        if session is None or user is None or user.mark != session.mark:
            return None
        return User(session.name, user.role)

    def _of_header(self, request: HTTPConnection) -> User | None:
        names = request.headers.getlist(self._settings.user_header)
        groups = request.headers.getlist(self._settings.groups_header)
        if not self._is_trusted(request.client.host if request.client else ""):
            return None
        # Two of them: the client has sent one, and the proxy has added its own. Nobody knows which is which.
        if len(names) != 1 or len(groups) > 1:
            return None
        name = names[0].strip()
        if not name or len(name) > _LONGEST_NAME or name.startswith(_GROUP):
            return None
        known = {name, *(_GROUP + group.strip() for group in "".join(groups).split(","))}
        return User(name, self._role(known))

    def _role(self, known: set[str]) -> Role:
        if known & set(self._settings.approvers):
            return Role.APPROVER
        return Role.OPERATOR if known & set(self._settings.operators) else Role.VIEWER

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)
