// SPDX-FileCopyrightText: The zerospan authors
// SPDX-License-Identifier: Apache-2.0

module zerospan.test/amqp

go 1.24.0

require github.com/rabbitmq/amqp091-go v1.10.0
