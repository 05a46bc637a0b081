-- tide.data: data sets from files, and the two sets of digits.
local core = require "tide.core"
local op = require "tide.ops"
local Dataset = require("tide.dataset").Dataset

local data = {}

local FILE_OPTIONS = {"format", "header", "separator", "skip_lines", "dtype", "text"}

-- ---- files ----

local function is_whole(tensor) return tensor:dtype() ~= "f32" and tensor:dtype() ~= "f64" end

-- A CSV's columns as x [N, k] of floats, and the target as y.
local function from_csv(path, contents, target, dtype)
  local features, columns, categories, y = {}, {}, nil, nil
  for _, entry in ipairs(contents) do
    if entry.categories then
      categories = categories or {}
      categories[entry.name] = entry.categories
    end
    if entry.name == target then
      y = entry.tensor
    else
      features[#features + 1] = entry.name
      columns[#columns + 1] = entry.tensor:to(dtype):unsqueeze(2)
    end
  end
  if target and not y then
    local near = core.nearest(target, features)
    core.fail("not-found", "load", "%s has no column '%s'%s; there are: %s", path, target,
              near and ", did you mean '" .. near .. "'?" or "", table.concat(features, ", "))
  end
  if #columns == 0 then core.fail("format", "load", "%s has no column but the target", path) end
  local x = #columns == 1 and columns[1] or op.cat(columns, 2)
  if y and not is_whole(y) then y = y:to(dtype) end
  return Dataset({x = x, y = y}, {features = features, categories = categories})
end

local function from_arrays(path, contents, target)
  local columns, others = {}, {}
  for _, entry in ipairs(contents) do
    local name = entry.name == "" and "x" or entry.name
    columns[name] = entry.tensor
    if name ~= target then others[#others + 1] = name end
  end
  if target == nil then return Dataset(columns) end
  if not columns[target] then
    core.fail("not-found", "load", "%s has no array '%s'; there are: %s", path, target,
              table.concat(others, ", "))
  end
  local y = columns[target]
  columns[target] = nil
  columns.y = y
  if #others == 1 then
    local x = columns[others[1]]
    columns = {x = x, y = y}
  end
  return Dataset(columns)
end

--- A data set from a file: CSV, NPY, NPZ, IDX or safetensors, also gzipped, by what is in it.
--
--   tide.data.load(path, {target = nil, dtype = "f32", ...})
--
-- Of a CSV, x [N, k] has all columns but the target's, y [N] is the target: i64 when its values
-- are whole numbers or texts (codes from 0 in the texts' byte order). d.features has the names
-- of x's columns, d.categories the texts of text columns. Other formats give a column for each
-- array (x where there is only one, without a name); `target` names the one that becomes y.
--
-- For CSV: header = true or false, separator = ",", skip_lines = 0, text = {names of columns
-- that are text although they look like numbers}. format = "csv" and so on refuses a file that
-- is anything else.
--
-- Errors: IO, FORMAT (with what was wrong where), NOT_FOUND for the target.
--
--   path = os.tmpname()
--   file = io.open(path, "w"); file:write("age,smokes,outcome\n50,1,0\n60,0,1\n"); file:close()
--   d = tide.data.load(path, {target = "outcome"})
--   d.x:size(), d.y:totable(), d.features                      --> {2, 2}  {0, 1}  {"age", "smokes"}
--   os.remove(path)
function data.load(path, opts)
  local o = core.options("load", opts, {}, {"target", table.unpack(FILE_OPTIONS)})
  if type(path) ~= "string" then
    core.fail("argument", "load", "the path is %s, not a string", core.what(path))
  end
  local target = o.target
  if target ~= nil and type(target) ~= "string" then
    core.fail("argument", "load", "target is a column's name, got %s", core.what(target))
  end
  local contents = core.load_file(path, o)
  if contents.format == "csv" then return from_csv(path, contents, target, o.dtype or "f32") end
  return from_arrays(path, contents, target)
end

-- ---- the digits ----

--- The digits in the program itself: 1,797 handwritten ones in 8x8 (Alpaydin and Kaynak's
-- optdigits, CC BY 4.0). x is f32 1797x1x8x8 in [0, 1], y i64 1797.
--
--   tide.data.digits()
--
--   d = tide.data.digits()
--   #d, d.x:size(), d.y[1]:item()                              --> 1797  {1797, 1, 8, 8}  0
function data.digits(opts)
  core.options("digits", opts, {})
  local contents = core.load_embedded("lua/data/digits.csv.gz", {header = false})
  local columns = {}
  for i = 1, 64 do columns[i] = contents[i].tensor:to("f32"):unsqueeze(2) end
  local x = op.cat(columns, 2):reshape(-1, 1, 8, 8) / 16
  return Dataset({x = x, y = contents[65].tensor})
end

-- Where data sets that were fetched lie.
local function cache_folder()
  local function folder(name)
    local value = os.getenv(name)
    return value ~= "" and value or nil
  end
  if folder "TIDE_DATA" then return folder "TIDE_DATA" end
  local cache = folder "XDG_CACHE_HOME" or (folder "HOME" or "") .. "/.cache"
  return cache .. "/tide"
end

local function read_idx(folder, name)
  for _, suffix in ipairs {"", ".gz"} do
    local path = folder .. "/" .. name .. suffix
    local file = io.open(path, "rb")
    if file then
      file:close()
      return core.load_file(path, {format = "idx"})[1].tensor, path
    end
  end
  core.fail_hint("io", "mnist",
                 "`make demo` in tide's source tree fetches it; TIDE_DATA names another folder",
                 "%s/%s is not there", folder, name)
end

-- Images and labels of one of the two halves, checked against what MNIST's files are.
local function read_half(folder, half, rows)
  local images, path = read_idx(folder, half .. "-images-idx3-ubyte")
  local labels, labels_path = read_idx(folder, half .. "-labels-idx1-ubyte")
  local shape = ("%dx28x28"):format(rows)
  if core.shape_text(images) ~= shape or images:dtype() ~= "u8" then
    core.fail("format", "mnist", "%s holds %s %s, not %s u8", path, core.shape_text(images), images:dtype(), shape)
  end
  if core.shape_text(labels) ~= tostring(rows) or labels:dtype() ~= "u8" then
    core.fail("format", "mnist", "%s holds %s %s, not %d u8", labels_path, core.shape_text(labels),
              labels:dtype(), rows)
  end
  return Dataset({x = images:to("f32"):unsqueeze(2) / 255, y = labels:to("i64")})
end

--- The MNIST digits (LeCun, Cortes and Burges), two data sets: 60,000 to train and 10,000 to
-- test. x is f32 Nx1x28x28 in [0, 1], y i64 N.
--
--   train, test = tide.data.mnist({folder = nil})
--
-- Reads the four IDX files (.gz too) from `folder`, else from the folder mnist in TIDE_DATA,
-- else in $XDG_CACHE_HOME/tide, else in ~/.cache/tide. Error: IO when one is not there; `make
-- demo` fetches them.
function data.mnist(opts)
  local o = core.options("mnist", opts, {}, {"folder"})
  local folder = o.folder or cache_folder() .. "/mnist"
  return read_half(folder, "train", 60000), read_half(folder, "t10k", 10000)
end

return data
