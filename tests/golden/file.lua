-- What torch-model.safetensors holds and gives.
-- Written by tools/torch-golden.py with PyTorch 1.13.0a0.
return {
  ["names"] = {
    "0.weight", "0.bias", "1.weight",
    "1.bias", "1.running_mean", "1.running_var",
    "1.num_batches_tracked", "5.0.weight", "5.0.bias",
    "6.weight", "6.bias",
  },
  ["output"] = {
    ["n"] = 15,
    ["sum"] = -0.74890986294485629,
    ["abs"] = 1.0826017090585083,
    ["at"] = {
      -0.22970356047153473, -0.010452708229422569, 0.0030278430785983801,
      -0.19112108647823334, 0.02983638271689415, -0.0082058869302272797,
      -0.087749361991882324, -0.019432084634900093,
    },
  },
}
