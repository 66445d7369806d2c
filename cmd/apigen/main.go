package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	root := flag.String("root", ".", "the repository")
	from := flag.String("import", "", "botocore's data folder: import the models of the named services first")
	flag.Parse()
	if err := run(*root, *from, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

// run imports the models of the named services if from is set, then generates every service that has an ops.txt.
func run(root, from string, services []string) error {
	if from != "" {
		for _, svc := range services {
			if err := importModel(root, from, svc); err != nil {
				return fmt.Errorf("import %s: %w", svc, err)
			}
		}
		services = nil
	}
	if len(services) == 0 {
		found, err := filepath.Glob(filepath.Join(root, "api", "*", "ops.txt"))
		if err != nil {
			return err
		}
		for _, f := range found {
			services = append(services, filepath.Base(filepath.Dir(f)))
		}
		slices.Sort(services)
	}
	for _, svc := range services {
		if err := generate(root, svc); err != nil {
			return fmt.Errorf("generate %s: %w", svc, err)
		}
	}
	return writeReadme(root, services)
}

// generate writes the four files of one service.
func generate(root, svc string) error {
	g, err := newGenerator(root, svc)
	if err != nil {
		return err
	}
	files, err := g.files()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, "api", svc, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
