package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"icebox/cmd/icebox/coturn"
)

func (p *program) importCoturnCommand() *cobra.Command {
	var output string
	var force bool
	cmd := &cobra.Command{
		Use:   "import-coturn FILE",
		Short: "Convert coturn's turnserver.conf to a configuration of icebox",
		Long: "Import-coturn reads a turnserver.conf, such as /etc/turnserver.conf, and writes a configuration with which the\n" +
			"same clients work. It prints every option that has no counterpart, and why. Run icebox check next.\n" +
			"The output contains the secrets of the input: only the owner can read a new file, and a file that --force\n" +
			"replaces keeps its owner and mode.",
		Args: exactlyOne("coturn's configuration file"),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "icebox.yaml", "`file` to write, or - for standard output")
	cmd.Flags().BoolVar(&force, "force", false, "replace the output file if it exists")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		return failure(p.importCoturn(args[0], output, force))
	}
	return cmd
}

func (p *program) importCoturn(name, output string, force bool) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	result, err := coturn.Import(in, coturn.Options{Name: name, Domain: domain()})
	if err != nil {
		return err
	}
	if output == "-" {
		_, err = p.stdout.Write(result.YAML)
	} else {
		err = writeSecret(output, result.YAML, force)
	}
	if err != nil {
		return err
	}
	report(p.stderr, result)
	if output != "-" {
		_, _ = fmt.Fprintf(p.stderr, "\nwrote %s; next: icebox check --config %s\n", output, output)
	}
	return nil
}

// report prints the result for each part of the input.
func report(w io.Writer, r *coturn.Result) {
	_, _ = fmt.Fprintf(w, "%d lines were translated\n", r.Translated)
	for _, part := range []struct {
		title string
		notes []coturn.Note
	}{
		{"built into icebox, so nothing is written:", r.BuiltIn},
		{"without a counterpart:", r.Lost},
		{"please check:", r.Warnings},
	} {
		if len(part.notes) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(w, "\n%s\n", part.title)
		for _, n := range part.notes {
			_, _ = fmt.Fprintf(w, "  %s\n", n)
		}
	}
}

// writeSecret writes a file completely or not at all. Only the owner can read a new file. A file that is replaced keeps its owner and
// mode.
func writeSecret(name string, data []byte, force bool) (err error) {
	old, err := os.Stat(name)
	switch {
	case err == nil && !force:
		return fmt.Errorf("%s exists: use --force to replace it, or --output to write another file", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".icebox-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if old != nil {
		if s, ok := old.Sys().(*syscall.Stat_t); ok {
			if err := f.Chown(int(s.Uid), int(s.Gid)); err != nil {
				return fmt.Errorf("keep the owner of %s: %w", name, err)
			}
		}
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
