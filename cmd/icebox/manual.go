//go:build docs

package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// The build of the Debian package makes the manual pages with this command. The daemon is built without it.
func init() {
	extra = append(extra, func(p *program) *cobra.Command {
		return &cobra.Command{
			Use:    "manual DIRECTORY",
			Short:  "Write the manual pages",
			Hidden: true,
			Args:   cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				if err := os.MkdirAll(args[0], 0o755); err != nil {
					return failure(err)
				}
				root := cmd.Root()
				root.DisableAutoGenTag = true
				return failure(doc.GenManTree(root, &doc.GenManHeader{Section: "8", Source: "icebox", Manual: "System administration"}, args[0]))
			},
		}
	})
}
