"""Published recurrent cells in the form that their authors use, for `digitspan study --cells`."""
