-- What `make lint` asks of Lua code.
std = "lua54"
max_line_length = 120
self = false -- an unused self is a method's own business
-- There without require, in scripts, plans and the library.
read_globals = { "tide", "nn", "F", "optim", "help" }
exclude_files = { "build/**" }
