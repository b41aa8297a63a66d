"""The exercise sheet's own code: data, vanilla RNN, LSTM and training script, standing alone."""
