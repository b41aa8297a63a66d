"""Train one network on palindromes and read its record: python examples/01_train_one_network.py"""

from digitspan import RunConfig, train

config = RunConfig(cell="rnn", length=6, hidden_size=64, train_steps=500)
record = train(config).record

print(f"{config.run_id}: {record.end_state} at step {record.steps}")
print(f"accuracy {record.accuracy:.3f} on {record.tested} palindromes it has never seen")
print(f"it holds {record.bits:.2f} of 3.32 bits of the first digit")
