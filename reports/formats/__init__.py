"""What a run came to, in the formats that CI systems read. Each takes an `Outcomes` and returns text."""
