package scenarios

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// maxSecretBytes bounds a secret's file: what is longer is another file.
const maxSecretBytes = 64 << 10

// Read returns the secret, without a final newline. The error names where it was looked for, never what was found.
func (s Secret) Read() (string, error) {
	if s.Env != "" {
		value, ok := os.LookupEnv(s.Env)
		if !ok || value == "" {
			return "", fmt.Errorf("the environment variable %s is not set (export it, or name a file)", s.Env)
		}
		return value, nil
	}
	if s.File == "" {
		return "", errors.New("neither an environment variable nor a file is named")
	}
	info, err := os.Stat(s.File)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	if info.Size() > maxSecretBytes || !info.Mode().IsRegular() {
		return "", fmt.Errorf("read a secret: %s is not a file of at most %d bytes", s.File, maxSecretBytes)
	}
	data, err := os.ReadFile(s.File)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	value := strings.TrimRight(string(data), "\r\n")
	if value == "" {
		return "", fmt.Errorf("read a secret: %s is empty", s.File)
	}
	return value, nil
}
