"""Who may sign in, and what with: names, roles, and argon2id hashes of passwords in the workspace's store.

What a role may do is the app's business (`app.person`), and so is slowing down those who guess.
"""

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from leaml.errors import UserError
from leaml.records import Role, User
from leaml.store.database import Database, now, record
from leaml.store.remembered import Remembered

MIN_PASSWORD_LENGTH = 8
MAX_NAME_LENGTH = 64


class Users:
    """The users of one workspace."""

    def __init__(self, database: Database) -> None:
        """Take the store's database."""
        self._database = database
        self._hasher = PasswordHasher()
        self._users = Remembered(database, self._read)

    def all(self) -> list[User]:
        """Return the users by name."""
        return list(self._users().values())

    def get(self, name: str) -> User:
        """Return one user.

        Raises:
            UserError: If there is none of this name.
        """
        if (user := self._users().get(name)) is None:
            raise UserError(f"There is no user {name!r}. See them with: leaml user list")
        return user

    def require_free(self, name: str, *, again: bool = False) -> None:
        """Check that a user of this name can be added, before anybody types a password.

        Args:
            name: The name.
            again: It is who decided something under this name before. Otherwise two people would be one in the log.

        Raises:
            UserError: If the name is or was somebody's, or is not one that can be typed and printed.
        """
        if not name or name != name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
            raise UserError(
                f"The name {name!r} cannot be used. Take 1 to {MAX_NAME_LENGTH} printable characters without blanks "
                "at the ends."
            )
        if taken := [user.name for user in self.all() if user.name.casefold() == name.casefold()]:
            raise UserError(
                f"There is a user {taken[0]!r} already. Change the password with: leaml user password {taken[0]}"
            )
        if not again and (before := [author for author in self._authors() if author.casefold() == name.casefold()]):
            raise UserError(
                f"Decisions by {before[0]!r} are here already. Take another name, or say with --again that this is the "
                "same person."
            )

    def add(self, name: str, role: Role, password: str, *, again: bool = False) -> None:
        """Add a user; `again` is who decided something under this name before.

        Raises:
            UserError: If the name cannot be used, or the password is too short.
        """
        self.require_free(name, again=again)
        values = [name, role, self._hashed(password), now()]
        with self._database.transaction(f"add the user {name}") as cursor:
            cursor.execute("INSERT INTO users VALUES (?, ?, ?, ?)", values)
            self._users.changed()

    def set_password(self, name: str, password: str) -> None:
        """Give a user another password.

        Raises:
            UserError: If there is no such user, or the password is too short.
        """
        self.get(name)
        values = [self._hashed(password), name]
        with self._database.transaction(f"change the password of {name}") as cursor:
            cursor.execute("UPDATE users SET password_hash = ? WHERE name = ?", values)

    def remove(self, name: str) -> None:
        """Let a user sign in no more. What they decided stays, under their name.

        Raises:
            UserError: If there is no such user.
        """
        self.get(name)
        with self._database.transaction(f"remove the user {name}") as cursor:
            cursor.execute("DELETE FROM users WHERE name = ?", [name])
            self._users.changed()

    def verify(self, name: str, password: str) -> bool:
        """Return whether this is the user's password. An unknown name takes as long as a wrong password."""
        rows = self._database.rows("SELECT password_hash FROM users WHERE name = ?", name)
        if not rows:
            self._hasher.hash(password)
            return False
        try:
            return self._hasher.verify(rows[0]["password_hash"], password)
        except VerifyMismatchError:
            return False

    def _authors(self) -> list[str]:
        """Return under whose names something was decided."""
        rows = self._database.rows("SELECT author FROM label_events UNION SELECT author FROM review_events")
        return [row["author"] for row in rows]

    def _read(self) -> dict[str, User]:
        rows = self._database.rows("SELECT name, role FROM users ORDER BY name")
        return {row["name"]: record(User, row) for row in rows}

    def _hashed(self, password: str) -> str:
        if len(password) < MIN_PASSWORD_LENGTH:
            raise UserError(
                f"The password has {len(password)} characters, but needs at least {MIN_PASSWORD_LENGTH}. "
                "Choose a longer one."
            )
        return self._hasher.hash(password)
