"""A real terminal for tests: a shell in tmux, its screen as text, and keys."""

import os
import shutil
import subprocess
import uuid

from support.small_fleet import until


class Tmux:
    """One tmux server with one window."""

    def __init__(self, folder, environment, *, columns=100, rows=30):
        self._socket = str(folder / f"tmux-{uuid.uuid4().hex[:8]}")
        # Nobody's profile, and a prompt that tells when the shell is ready.
        shell = f"env -i {_words(environment)} PS1='ready$ ' {shutil.which('bash')} --norc --noprofile -i"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), shell
        )
        self.wait_for("ready$")

    def type(self, *keys):
        """Press keys, by tmux's names; text is typed as it is."""
        self._tmux("send-keys", *keys)

    def run(self, command):
        """Type a command and Enter."""
        self._tmux("send-keys", "-l", command)
        self.type("Enter")

    def resize(self, columns, rows):
        """Change the terminal's size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self):
        """What is on the screen now."""
        return self._tmux("capture-pane", "-p").stdout

    @property
    def is_given_back(self):
        """Whether its first screen is shown, with a cursor."""
        return (
            self._tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").stdout == "0 1\n"
        )

    def wait_for(self, *texts, without=()):
        """Wait until all texts are on the screen at once, and none of the others is; return the screen."""
        seen = []

        def there():
            seen.append(self.screen)
            shown = seen[-1]
            return all(text in shown for text in texts) and not any(t in shown for t in without)

        try:
            until(there)
        except AssertionError:
            raise AssertionError(f"{texts} (without {without}) is not on:\n{seen[-1]}") from None
        return seen[-1]

    def close(self):
        """End the server and what runs in it."""
        self._tmux("kill-server", check=False)

    def _tmux(self, *arguments, check=True):
        return subprocess.run(
            ["tmux", "-S", self._socket, *arguments],
            env=os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=30,
            check=check,
        )


def _words(environment):
    import shlex

    kept = {**environment, "TERM": "screen-256color", "LC_ALL": "C.UTF-8"}
    kept.pop("NO_COLOR", None)
    return " ".join(shlex.quote(f"{key}={value}") for key, value in kept.items())
