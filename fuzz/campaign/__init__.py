"""One run: draws Cases by time, keeps what fails, has it confirmed and written."""
