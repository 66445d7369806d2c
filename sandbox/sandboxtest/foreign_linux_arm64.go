package sandboxtest

// foreignCall has no way to make another architecture's call from arm64 code: 32-bit programs come with their own loader.
func foreignCall(target) outcome {
	return outcome{false, "arm64 code cannot make another architecture's calls"}
}
