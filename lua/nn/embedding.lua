-- nn: rows of a table by number.

local core = require "tide.core"
local F = require "tide.functional.layer"
local Module = require "tide.module"
local init = require "tide.nn.init"
local check = require "tide.check"

local nn = {}

--- nn.Embedding(rows, width): the rows of weight [rows, width] that ids name; ids are i64 or i32,
-- of any shape, and count from 0. weight begins normally distributed. Option: padding_idx, an id
-- whose row is zeros and is not trained.
--
--   nn.Embedding(90, 8)(tide.zeros({10, 80}, {dtype = "i64"})):size() --> {10, 80, 8}
nn.Embedding = Module:extend("nn.Embedding")

function nn.Embedding:init(rows, width, opts)
  local padding = core.options("nn.Embedding", opts, {}, {"padding_idx"}).padding_idx
  self.num_embeddings = check.count("nn.Embedding", "the number of rows", rows, 1)
  self.embedding_dim = check.count("nn.Embedding", "the width", width, 1)
  self.weight = init.normal {rows, width}
  if padding == nil then return end
  check.count("nn.Embedding", "padding_idx", padding, 0)
  if padding >= rows then
    core.fail("index", "nn.Embedding", "padding_idx %d of %d rows (ids count from 0)", padding, rows)
  end
  self.padding_idx = padding
  local _ <close> = core.no_grad()
  self.weight:select(1, padding + 1):assign(0)
end

function nn.Embedding:forward(ids) return F.embedding(ids, self.weight, {padding_idx = self.padding_idx}) end

function nn.Embedding:brief()
  return ("nn.Embedding %d x %d"):format(self.num_embeddings, self.embedding_dim)
end

function nn.Embedding:extra_repr()
  local text = ("%d, %d"):format(self.num_embeddings, self.embedding_dim)
  return self.padding_idx and text .. ", padding_idx=" .. self.padding_idx or text
end

return nn
