module zerospan.test/httpprog

go 1.19
