# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

"""calls.py PORT: calls DynamoDB, SQS and S3 of moto's server through boto3 after a line on standard input, prints "ready"
before, and one line of JSON for each call that boto3 reports."""

import json
import sys

import boto3
import botocore.exceptions
from botocore.config import Config

endpoint = f"http://127.0.0.1:{sys.argv[1]}"
session = boto3.Session(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="a long secret", region_name="eu-west-1")


def report(http_response, model, **_):
    headers = http_response.headers
    print(json.dumps({"service": model.service_model.service_id, "operation": model.name, "status": http_response.status_code,
                      "request_id": headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", ""),
                      "region": "eu-west-1"}), flush=True)


def connect(service):
    client = session.client(service, endpoint_url=endpoint, config=Config(retries={"max_attempts": 0}))
    client.meta.events.register("after-call", report)
    return client


print("ready", flush=True)
sys.stdin.readline()
table = connect("dynamodb")
table.create_table(TableName="users", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                   AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], BillingMode="PAY_PER_REQUEST")
for i in range(10):
    table.put_item(TableName="users", Item={"id": {"S": str(i)}, "name": {"S": "secret"}})
    table.get_item(TableName="users", Key={"id": {"S": str(i)}})
table.query(TableName="users", KeyConditionExpression="id = :id", ExpressionAttributeValues={":id": {"S": "1"}})
table.scan(TableName="users")
try:
    table.get_item(TableName="none", Key={"id": {"S": "1"}})
    raise AssertionError("it worked")
except botocore.exceptions.ClientError:
    pass
queues = connect("sqs")
url = queues.create_queue(QueueName="orders")["QueueUrl"]
for i in range(10):
    queues.send_message(QueueUrl=url, MessageBody="secret")
for message in queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
    queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
files = connect("s3")
files.create_bucket(Bucket="pictures", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
for i in range(5):
    files.put_object(Bucket="pictures", Key=f"{i}.png", Body=b"secret" * 1000)
    files.get_object(Bucket="pictures", Key=f"{i}.png")["Body"].read()
files.list_objects_v2(Bucket="pictures")
try:
    files.head_object(Bucket="pictures", Key="none")
    raise AssertionError("it worked")
except botocore.exceptions.ClientError:
    pass
print("done", flush=True)
