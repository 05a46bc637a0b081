-- tide.save and tide.load: tensors in files.
local core = require "tide.core"
local check = require "tide.check"
local ordered = require "tide.ordered"

local files = {}

-- Names and tensors of a table, in its own order if it has one, else by name.
local function in_order(tensors)
  local names, list = {}, {}
  for name in pairs(tensors) do
    if type(name) ~= "string" then
      core.fail("argument", "save", "a tensor's name is a string, got %s", core.what(name))
    end
    names[#names + 1] = name
  end
  if not (getmetatable(tensors) or {}).__pairs then table.sort(names) end
  for i, name in ipairs(names) do
    list[i] = check.tensor("save", "'" .. name .. "'", tensors[name])
  end
  return names, list
end

--- Writes tensors to a file: a table of them by name (a module's state dict) as safetensors,
-- which PyTorch and others read; one tensor to a path that ends in .npy as NumPy's format. The
-- old file stays as it was when something fails.
--
--   tide.save(path, tensors, {meta = {key = "text"}})
--
-- Errors: IO, and tensors that live at a worker (get() them first).
--
--   path = os.tmpname()
--   tide.save(path, nn.Linear(3, 2):state_dict())
--   tide.load(path).weight:size()                              --> {2, 3}
--   os.remove(path)
function files.save(path, tensors, opts)
  local meta = core.options("save", opts, {}, {"meta"}).meta
  if type(path) ~= "string" then
    core.fail("argument", "save", "the path is %s, not a string", core.what(path))
  end
  if core.is_tensor(tensors) then
    if path:find("%.npy$") then return core.save_npy(path, tensors) end
    core.fail("argument", "save",
              "one tensor goes into a path that ends in .npy; else a table of tensors by name is wanted")
  end
  if type(tensors) ~= "table" then
    core.fail("argument", "save", "wants a table of tensors by name, got %s", core.what(tensors))
  end
  local other = path:match("%.(%w+)$")
  if other == "npz" or other == "npy" or other == "csv" or other == "pt" or other == "pth" then
    core.fail("argument", "save", "a table of tensors is written as safetensors, which '.%s' is not", other)
  end
  if tensors.state_dict then
    core.fail_hint("argument", "save", "model:state_dict() is a table of them",
                   "wants a table of tensors by name, got a module")
  end
  local names, list = in_order(tensors)
  core.save_safetensors(path, names, list, meta)
end

--- Reads the tensors of a file: safetensors, NPY, NPZ, IDX or CSV, also gzipped, by what is in
-- it. Gives a table of tensors by name, in the file's order, and the file's own texts
-- (safetensors); for formats of one tensor without a name (NPY, IDX) the tensor.
--
--   tide.load(path)
--
-- Errors: IO, FORMAT (with what was wrong where), LIMIT.
--
--   path = os.tmpname()
--   tide.save(path, {a = tide.ones(2)}, {meta = {made = "today"}})
--   tensors, meta = tide.load(path)
--   tensors.a:sum():item(), meta.made                          --> 2.0  "today"
--   os.remove(path)
function files.load(path, opts)
  core.options("load", opts, {}, {"format", "header", "separator", "skip_lines", "dtype", "text"})
  if type(path) ~= "string" then
    core.fail("argument", "load", "the path is %s, not a string", core.what(path))
  end
  local contents = core.load_file(path, opts)
  if #contents == 1 and contents[1].name == "" then return contents[1].tensor end
  local tensors = ordered.new()
  for _, entry in ipairs(contents) do tensors[entry.name] = entry.tensor end
  return tensors, contents.meta
end

return files
