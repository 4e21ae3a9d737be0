// Package config turns one YAML file, the ICEBOX_* environment, the command
// line's flags and the secret files that they name into one valid Config.
//
// # One description of the keys
//
// The Config types are the schema. Their yaml tags name the keys, and their Go
// types define the valid values. Decoding, the names of environment variables,
// suggestions for misspelt keys and the printed configuration follow from the
// types by reflection. The tag reload decides whether a reload can change a
// setting, and the tag about describes the key in deploy/configuration.md.
// defaults.yaml has the default values, which the same decoder reads.
//
// A record is a YAML mapping with a fixed set of keys. Accounts, secrets, API keys, address pairs and origins are lists
// of records. They are not mappings with the name as the key, so that names keep their case and their dots. A setting
// is a key that one layer replaces as a whole: a scalar, a list, or tls.
//
// # Layers
//
// Later layers override earlier ones: defaults.yaml, the file, the environment, flags. Viper holds the layers and
// chooses the value of each setting. It gets values that this package has decoded strictly, and no YAML. So it can
// neither change the case of a name nor accept a key that does not exist.
//
//   - The environment variable of turn.limits.permissions is
//     ICEBOX_TURN_LIMITS_PERMISSIONS. A list is written as YAML flow text,
//     [{name: a, password: b}], or as scalars with commas between them. An
//     empty variable counts as unset. The command reads ICEBOX_CONFIG, which
//     names the file. Load ignores the variables that Kubernetes sets for a
//     service called icebox (ICEBOX_SERVICE_HOST, ICEBOX_PORT_3478_UDP ...).
//     Every other unknown ICEBOX_ variable is an error.
//   - File names in a value are relative to the configuration file.
//
// # Errors
//
// Load finds all errors before it returns. Each error names its key and the place
// where the key is written: FILE:LINE, the variable or the flag. Unknown and
// duplicate keys, YAML anchors and aliases, and a second document are errors. A
// list or record with no value (every line below it is commented out) counts as
// unset. A scalar with no value is an error.
//
// A shared secret or an API key shorter than 16 bytes is an error, because anyone
// who guesses it relays at the owner's cost. A shared secret that another program
// dictates may carry allow_short: true.
//
// # Secrets
//
// Every password, key and secret has the type Secret. Printing, logging or marshalling it gives <hidden>. Load removes
// one trailing newline from a secret file. A file that other users can read gives a warning instead of an error,
// because container runtimes mount secrets that way.
package config
