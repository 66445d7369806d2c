package sandboxtest

// archAttempts are none: 32-bit programs come with their own loader, and arm64 code cannot make another architecture's calls.
func archAttempts() []attempt { return nil }
