-- nn: rows of a table by number.

local core = require "tide.core"
local F = require "tide.functional.layer"
local Module = require "tide.module"
local init = require "tide.nn.init"
local check = require "tide.check"

local nn = {}

--- nn.Embedding(rows, width): the rows of weight [rows, width] that ids name; ids are i64 or i32,
-- of any shape, and count from 0. weight begins normally distributed. Options: padding_idx, an id
-- whose row is zeros and is not trained; sparse = false.
--
-- With sparse = true weight.grad holds only the rows that were used, so that a training step takes time by
-- them and not by the table's rows: optim.SGD (without momentum), optim.Adagrad and optim.SparseAdam work
-- with such gradients. weight.grad has ids and values then, tensors [n] and [n, width] (the first of equal
-- ids carries the sum of all, the others zeros); it adds to another one, takes a factor, has norm(), and
-- to_dense() gives the whole as a tensor. What tide.grad returns is always whole.
--
--   nn.Embedding(90, 8)(tide.zeros({10, 80}, {dtype = "i64"})):size() --> {10, 80, 8}
nn.Embedding = Module:extend("nn.Embedding")

function nn.Embedding:init(rows, width, opts)
  local o = core.options("nn.Embedding", opts, {sparse = false}, {"padding_idx"})
  local padding = o.padding_idx
  self.sparse = o.sparse
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

function nn.Embedding:forward(ids)
  return F.embedding(ids, self.weight, {padding_idx = self.padding_idx, sparse = self.sparse})
end

function nn.Embedding:brief()
  return ("nn.Embedding %d x %d"):format(self.num_embeddings, self.embedding_dim)
end

function nn.Embedding:extra_repr()
  local text = ("%d, %d"):format(self.num_embeddings, self.embedding_dim)
  if self.padding_idx then text = text .. ", padding_idx=" .. self.padding_idx end
  return self.sparse and text .. ", sparse=true" or text
end

return nn
