"""The parts of the model: tower, tokenizer, packing, and the folder it is kept in."""
