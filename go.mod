module icebox

go 1.26
