"""The HTTP server of `anygen serve`: OpenAI-shaped requests in, replies with their media out; nothing loads here."""
