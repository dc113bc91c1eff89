"""Each question of `doctor` by itself, with every answer provoked."""
