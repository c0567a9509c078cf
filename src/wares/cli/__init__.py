"""The command line: one file for each group of commands.

May import: every package.
Add a member: a command is a function in the file of its group, with heavy imports inside the function.
"""

__all__: list[str] = []
