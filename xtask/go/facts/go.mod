module facts

go 1.21
