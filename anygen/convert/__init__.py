"""Published any-to-any checkpoints into anygen's model folder: NExT-GPT's two code bases and GILL."""
