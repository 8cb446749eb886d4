"""One module per verb; `main` imports each when it is used. `command` is the verb, its docstring the help."""
