module zerospan.test/dns

go 1.24
