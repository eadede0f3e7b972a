// Reads a whole stream with aws-sdk-go-v2, all shards at once, and does nothing with it.
//
//	drain ENDPOINT STREAM_ARN
//
// It prints how many records there were. A shard is at its end where a page is empty.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

func main() {
	endpoint, arn := os.Args[1], os.Args[2]
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := dynamodbstreams.NewFromConfig(settings, func(options *dynamodbstreams.Options) {
		options.BaseEndpoint = aws.String(endpoint)
	})
	described, err := client.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: aws.String(arn)})
	if err != nil {
		log.Fatal(err)
	}
	shards := described.StreamDescription.Shards
	drained := make(chan int)
	for _, shard := range shards {
		go func() { drained <- drain(ctx, client, arn, *shard.ShardId) }()
	}
	read := 0
	for range shards {
		read += <-drained
	}
	fmt.Println(read)
}

func drain(ctx context.Context, client *dynamodbstreams.Client, arn, shard string) int {
	begun, err := client.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn:         aws.String(arn),
		ShardId:           aws.String(shard),
		ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		log.Fatal(err)
	}
	read := 0
	for iterator := begun.ShardIterator; ; {
		page, err := client.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: iterator})
		if err != nil {
			log.Fatal(err)
		}
		if len(page.Records) == 0 {
			return read
		}
		read += len(page.Records)
		iterator = page.NextShardIterator
	}
}
