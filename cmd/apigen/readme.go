package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	tableBegin = "<!-- operations: written by make gen from api/*/ops.txt -->\n"
	tableEnd   = "<!-- end of operations -->"
)

// writeReadme puts the served operations of every service into README.md, so that what it says works is what the op tables
// say.
func writeReadme(root string, services []string) error {
	path := filepath.Join(root, "README.md")
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	table, err := operationTable(root, services)
	if err != nil {
		return err
	}
	text, err := replaceTable(old, table)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644)
}

// replaceTable puts the table between the two marks.
func replaceTable(readme []byte, table string) ([]byte, error) {
	before, rest, ok := bytes.Cut(readme, []byte(tableBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ok2 {
		return nil, fmt.Errorf("the marks %q and %q are not there", strings.TrimSpace(tableBegin), tableEnd)
	}
	return bytes.Join([][]byte{before, []byte(tableBegin), []byte(table), []byte(tableEnd), after}, nil), nil
}

func operationTable(root string, services []string) (string, error) {
	var b strings.Builder
	b.WriteString("\n| Service | Operations |\n|---|---|\n")
	for _, svc := range services {
		g, err := newGenerator(root, svc)
		if err != nil {
			return "", err
		}
		names := make([]string, len(g.served))
		for i, op := range g.served {
			names[i] = op.Name
		}
		fmt.Fprintf(&b, "| %s | %s |\n", g.model.Metadata.ServiceID, strings.Join(names, ", "))
	}
	b.WriteString("\n")
	return b.String(), nil
}
