"""The exercise sheet as data: `sheet.toml`, what can be asked, and the model's answers."""
