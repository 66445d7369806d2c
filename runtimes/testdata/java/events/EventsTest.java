package run.enfold.runtime;

import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyRequestEvent;
import com.amazonaws.services.lambda.runtime.events.APIGatewayProxyResponseEvent;
import com.amazonaws.services.lambda.runtime.events.APIGatewayV2HTTPEvent;
import com.amazonaws.services.lambda.runtime.events.APIGatewayV2HTTPResponse;
import com.amazonaws.services.lambda.runtime.events.DynamodbEvent;
import com.amazonaws.services.lambda.runtime.events.KinesisEvent;
import com.amazonaws.services.lambda.runtime.events.S3Event;
import com.amazonaws.services.lambda.runtime.events.SNSEvent;
import com.amazonaws.services.lambda.runtime.events.SQSBatchResponse;
import com.amazonaws.services.lambda.runtime.events.SQSEvent;
import com.amazonaws.services.lambda.runtime.events.ScheduledEvent;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** The classes of aws-lambda-java-events, with events as AWS documents them. */
public class EventsTest {
    static void check(Object got, Object want) {
        if (!String.valueOf(want).equals(String.valueOf(got))) {
            System.out.println("got  " + got + "\nwant " + want);
            System.exit(1);
        }
    }

    static <T> T read(String json, Class<T> c) throws Exception {
        return c.cast(Mapper.read(json.replace('\'', '"'), c));
    }

    /** Reads an event, and checks that it is written as it was, but for the order of members. */
    static <T> T round(String json, Class<T> c) throws Exception {
        T event = read(json, c);
        check(sorted(Json.parse(Mapper.write(event))), sorted(Json.parse(json.replace('\'', '"'))));
        return event;
    }

    static Object sorted(Object tree) {
        if (tree instanceof Map) {
            Map<Object, Object> out = new java.util.TreeMap<>();
            ((Map<?, ?>) tree).forEach((k, v) -> out.put(k, sorted(v)));
            return out;
        }
        if (tree instanceof List) {
            List<Object> out = new java.util.ArrayList<>();
            ((List<?>) tree).forEach(v -> out.add(sorted(v)));
            return out;
        }
        return tree;
    }

    public static void main(String[] args) throws Exception {
        SQSEvent sqs = round("{'Records':[{'messageId':'m','receiptHandle':'r','body':'b','md5OfBody':'5','attributes':{'SentTimestamp':'1'},"
                + "'messageAttributes':{'k':{'stringValue':'v','stringListValues':[],'binaryListValues':[],'dataType':'String'}},"
                + "'eventSource':'aws:sqs','eventSourceARN':'arn','awsRegion':'eu-west-1'}]}", SQSEvent.class);
        check(sqs.getRecords().get(0).getEventSourceArn(), "arn");
        check(sqs.getRecords().get(0).getMessageAttributes().get("k").getStringValue(), "v");

        SNSEvent sns = round("{'Records':[{'EventVersion':'1.0','EventSubscriptionArn':'sub','EventSource':'aws:sns','Sns':{"
                + "'SignatureVersion':'1','Timestamp':'2019-01-02T12:45:07.000Z','Signature':'s','SigningCertUrl':'u','MessageId':'m',"
                + "'Message':'hello','MessageAttributes':{'k':{'Type':'String','Value':'v'}},'Type':'Notification','UnsubscribeUrl':'un',"
                + "'TopicArn':'t','Subject':'sub'}}]}", SNSEvent.class);
        check(sns.getRecords().get(0).getSNS().getMessage(), "hello");
        check(sns.getRecords().get(0).getSNS().getTimestamp().getMillis(), 1546433107000L);
        check(sns.getRecords().get(0).getSNS().getMessageAttributes().get("k").getValue(), "v");

        S3Event s3 = round("{'Records':[{'eventVersion':'2.1','eventSource':'aws:s3','awsRegion':'us-east-2','eventTime':'2019-09-03T19:37:27.192Z',"
                + "'eventName':'ObjectCreated:Put','userIdentity':{'principalId':'p'},'requestParameters':{'sourceIPAddress':'1.2.3.4'},"
                + "'responseElements':{'x-amz-request-id':'q','x-amz-id-2':'i'},'s3':{'s3SchemaVersion':'1.0','configurationId':'c','bucket':{"
                + "'name':'b','ownerIdentity':{'principalId':'o'},'arn':'arn'},'object':{'key':'a+b%21','size':1305107,'eTag':'e','sequencer':'s'}}}]}",
                S3Event.class);
        check(s3.getRecords().get(0).getS3().getObject().getUrlDecodedKey(), "a b!");
        check(s3.getRecords().get(0).getS3().getObject().getSizeAsLong(), 1305107);
        check(s3.getRecords().get(0).getEventTime().getYear(), 2019);
        check(s3.getRecords().get(0).getResponseElements().getxAmzId2(), "i");

        KinesisEvent kinesis = read("{'Records':[{'kinesis':{'kinesisSchemaVersion':'1.0','partitionKey':'1','sequenceNumber':'4','data':'SGVsbG8=',"
                + "'approximateArrivalTimestamp':1545084650.987},'eventSource':'aws:kinesis','eventSourceARN':'arn','eventID':'shard'}]}", KinesisEvent.class);
        check(StandardCharsets.UTF_8.decode(kinesis.getRecords().get(0).getKinesis().getData()), "Hello");
        check(kinesis.getRecords().get(0).getKinesis().getApproximateArrivalTimestamp().getTime(), 1545084650987L);
        check(kinesis.getRecords().get(0).getEventSourceARN(), "arn");

        DynamodbEvent dynamo = read("{'Records':[{'eventID':'1','eventName':'INSERT','eventVersion':'1.0','eventSource':'aws:dynamodb','awsRegion':'us-east-1',"
                + "'dynamodb':{'Keys':{'Id':{'N':'101'}},'NewImage':{'M':{'M':{'a':{'L':[{'S':'x'},{'BOOL':true},{'NULL':true},{'SS':['s']}]}}},'B':{'B':'AAE='}},"
                + "'ApproximateCreationDateTime':1480642020,'StreamViewType':'NEW_AND_OLD_IMAGES','SequenceNumber':'111','SizeBytes':26},'eventSourceARN':'arn'}]}",
                DynamodbEvent.class);
        check(dynamo.getRecords().get(0).getDynamodb().getKeys().get("Id").getN(), "101");
        check(dynamo.getRecords().get(0).getDynamodb().getNewImage().get("M").getM().get("a").getL().get(2).getNULL(), true);
        check(dynamo.getRecords().get(0).getDynamodb().getNewImage().get("M").getM().get("a").getL().get(1).getBOOL(), true);
        check(dynamo.getRecords().get(0).getDynamodb().getNewImage().get("B").getB().remaining(), 2);
        check(dynamo.getRecords().get(0).getDynamodb().getApproximateCreationDateTime().getTime(), 1480642020000L);
        check(dynamo.getRecords().get(0).getEventName(), "INSERT");
        check(Mapper.write(dynamo).contains("\"NULL\":true"), true);

        ScheduledEvent scheduled = round("{'version':'0','id':'53','detail-type':'Scheduled Event','source':'aws.events','account':'1','time':'2015-10-08T16:53:06.000Z',"
                + "'region':'us-east-1','resources':['rule'],'detail':{'a':1}}", ScheduledEvent.class);
        check(scheduled.getDetailType(), "Scheduled Event");
        check(scheduled.getTime().getMillis(), 1444323186000L);

        APIGatewayProxyRequestEvent proxy = read("{'resource':'/','path':'/p','httpMethod':'POST','headers':{'A':'b'},'multiValueHeaders':{'A':['b']},"
                + "'queryStringParameters':null,'requestContext':{'accountId':'1','identity':{'sourceIp':'i'},'stage':'prod'},'body':'x','isBase64Encoded':true}",
                APIGatewayProxyRequestEvent.class);
        check(proxy.getIsBase64Encoded(), true);
        check(proxy.getRequestContext().getIdentity().getSourceIp(), "i");
        APIGatewayV2HTTPEvent http = read("{'version':'2.0','rawPath':'/p','headers':{'a':'b'},'requestContext':{'http':{'method':'GET'}},'isBase64Encoded':true}",
                APIGatewayV2HTTPEvent.class);
        check(http.getRequestContext().getHttp().getMethod(), "GET");
        check(http.getIsBase64Encoded(), true);
        check(Mapper.write(new APIGatewayProxyResponseEvent().withStatusCode(200).withBody("b").withIsBase64Encoded(false)),
                "{\"statusCode\":200,\"body\":\"b\",\"isBase64Encoded\":false}");
        check(Mapper.write(APIGatewayV2HTTPResponse.builder().withStatusCode(201).withBody("b").build()),
                "{\"statusCode\":201,\"body\":\"b\",\"isBase64Encoded\":false}");
        check(Mapper.write(new SQSBatchResponse(List.of(new SQSBatchResponse.BatchItemFailure("m")))),
                "{\"batchItemFailures\":[{\"itemIdentifier\":\"m\"}]}");
    }
}
