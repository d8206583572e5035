module zerospan/tools/gooffsets

go 1.21
