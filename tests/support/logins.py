"""Users of the dashboard under test, and their way in."""

from argon2 import PasswordHasher

PASSWORD = "correct horse"
#: Much cheaper than a real one, which is meant to be slow.
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)


async def log_in(client, name, password=PASSWORD, **form):
    return await client.post("/login", data={"name": name, "password": password, **form})
