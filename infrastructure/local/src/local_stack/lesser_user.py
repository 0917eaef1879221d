"""Becomes a program of a user with fewer rights, inside a folder that only root can enter.

`python -m local_stack.lesser_user USER FOLDER PROGRAM …` enters the folder while it is root, then
becomes the user, and then the program. A process keeps its working directory, even if it may not
enter the folders above. So the program reaches the folder as `/proc/self/cwd`, and the folders
above stay closed to the user. Nothing else is imported, so that a restart is fast.
"""

import os
import pwd
import sys

HERE = "/proc/self/cwd"
"""Linux's name of a process's working directory. The folders above it are not searched."""


def become(user: str, folder: str, program: list[str]) -> None:
    """Replace this process."""
    entry = pwd.getpwnam(user)
    os.chdir(folder)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.execv(program[0], program)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    become(sys.argv[1], sys.argv[2], sys.argv[3:])
