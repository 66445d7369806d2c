"""Drives ECR with the real boto3: repositories, layers in parts, images, tags, policies, paging, errors. No arguments."""

import base64
import hashlib
import json
import urllib.request

import boto3
from checks import CONFIG, check, fails, raises

ACCOUNT = "000000000000"
ecr = boto3.client("ecr", config=CONFIG)
REGION = ecr.meta.region_name
WHERE = f"in the registry with id '{ACCOUNT}'"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer(repository, data, part=5 << 20):
    """Uploads a layer in parts."""
    upload = ecr.initiate_layer_upload(repositoryName=repository)
    check(upload["partSize"], 10485760, "part size")
    for first in range(0, len(data), part):
        piece = data[first:first + part]
        got = ecr.upload_layer_part(
            repositoryName=repository, uploadId=upload["uploadId"], partFirstByte=first, partLastByte=first + len(piece) - 1, layerPartBlob=piece,
        )
        check(got["lastByteReceived"], first + len(piece) - 1, "last byte")
    done = ecr.complete_layer_upload(repositoryName=repository, uploadId=upload["uploadId"], layerDigests=[digest(data)])
    check(done["layerDigest"], digest(data), "layer")
    return digest(data)


def manifest(config, *layers):
    def descriptor(kind, d):
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": d, "size": 1}
    return json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", config), "layers": [descriptor("layer.v1.tar+gzip", d) for d in layers],
    })


# A repository.
made = ecr.create_repository(repositoryName="team/app", tags=[{"Key": "team", "Value": "blue"}], imageTagMutability="MUTABLE")["repository"]
arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app"
check((made["repositoryArn"], made["registryId"], made["repositoryName"]), (arn, ACCOUNT, "team/app"), "repository")
check(made["repositoryUri"], ecr.meta.endpoint_url.split("://")[1] + "/team/app", "address")
check((made["encryptionConfiguration"], made["imageScanningConfiguration"]), ({"encryptionType": "AES256"}, {"scanOnPush": False}), "settings")
raises(ecr, "RepositoryAlreadyExistsException", 400, f"The repository with name 'team/app' already exists {WHERE}",
       ecr.create_repository, repositoryName="team/app")
raises(ecr, "RepositoryNotFoundException", 400, f"The repository with name 'none' does not exist {WHERE}",
       ecr.describe_images, repositoryName="none")
raises(ecr, "InvalidParameterException", 400, None, ecr.create_repository, repositoryName="Not-A-Name")
check(ecr.list_tags_for_resource(resourceArn=arn)["tags"], [{"Key": "team", "Value": "blue"}], "tags")
ecr.tag_resource(resourceArn=arn, tags=[{"Key": "tier", "Value": "1"}])
ecr.untag_resource(resourceArn=arn, tagKeys=["team"])
check(ecr.list_tags_for_resource(resourceArn=arn)["tags"], [{"Key": "tier", "Value": "1"}], "tags")

# Layers.
big = bytes(range(256)) * (12 << 12)
config, first = layer("team/app", b"{}"), layer("team/app", big)
absent = digest(b"absent")
availability = ecr.batch_check_layer_availability(repositoryName="team/app", layerDigests=[first, absent, "x"])
check([(x["layerAvailability"], x.get("layerSize")) for x in availability["layers"]], [("AVAILABLE", len(big)), ("UNAVAILABLE", None)], "layers")
check([x["failureCode"] for x in availability["failures"]], ["InvalidLayerDigest"], "failures")
link = ecr.get_download_url_for_layer(repositoryName="team/app", layerDigest=first)["downloadUrl"]
with urllib.request.urlopen(link) as r:
    check(digest(r.read()), first, "downloaded layer")
raises(ecr, "LayersNotFoundException", 400, None, ecr.get_download_url_for_layer, repositoryName="team/app", layerDigest=absent)
upload = ecr.initiate_layer_upload(repositoryName="team/app")["uploadId"]
raises(ecr, "EmptyUploadException", 400, None, ecr.complete_layer_upload, repositoryName="team/app", uploadId=upload, layerDigests=[absent])
late = raises(ecr, "InvalidLayerPartException", 400, None, ecr.upload_layer_part, repositoryName="team/app", uploadId=upload,
              partFirstByte=1, partLastByte=1, layerPartBlob=b"x")
check((late["uploadId"], late["lastValidByteReceived"]), (upload, 0), "where the upload is")
ecr.upload_layer_part(repositoryName="team/app", uploadId=upload, partFirstByte=0, partLastByte=0, layerPartBlob=b"x")
raises(ecr, "InvalidLayerException", 400, None, ecr.complete_layer_upload, repositoryName="team/app", uploadId=upload, layerDigests=[absent])

# Images.
raises(ecr, "LayersNotFoundException", 400, None, ecr.put_image, repositoryName="team/app", imageManifest=manifest(config, absent))
text = manifest(config, first)
image = ecr.put_image(repositoryName="team/app", imageManifest=text, imageTag="v1")["image"]
check(image["imageId"], {"imageDigest": digest(text.encode()), "imageTag": "v1"}, "image")
raises(ecr, "ImageAlreadyExistsException", 400, f"Image with digest '{digest(text.encode())}' and tag 'v1' already exists in the repository "
       f"with name 'team/app' in registry with id '{ACCOUNT}'", ecr.put_image, repositoryName="team/app", imageManifest=text, imageTag="v1")
ecr.put_image(repositoryName="team/app", imageManifest=text, imageTag="v2")
got = ecr.batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": "v2"}, {"imageTag": "v9"}],
                          acceptedMediaTypes=["application/vnd.oci.image.manifest.v1+json"])
check([x["imageManifest"] for x in got["images"]], [text], "manifests")
check([(x["failureCode"], x["failureReason"]) for x in got["failures"]], [("ImageNotFound", "Requested image not found")], "failures")
details = ecr.describe_images(repositoryName="team/app")["imageDetails"]
check([(x["imageTags"], x["imageSizeInBytes"], x["imageManifestMediaType"]) for x in details],
      [(["v1", "v2"], len(big) + 2, "application/vnd.oci.image.manifest.v1+json")], "details")
pages = ecr.get_paginator("list_images").paginate(repositoryName="team/app", PaginationConfig={"PageSize": 1})
check([x["imageTag"] for p in pages for x in p["imageIds"]], ["v1", "v2"], "images in pages")
raises(ecr, "ImageNotFoundException", 400,
       f"The image with imageId {{imageDigest:'null', imageTag:'v9'}} does not exist within the repository with name 'team/app' {WHERE}",
       ecr.describe_images, repositoryName="team/app", imageIds=[{"imageTag": "v9"}])
ecr.put_image_tag_mutability(repositoryName="team/app", imageTagMutability="IMMUTABLE")
other = manifest(config, first, config)
raises(ecr, "ImageTagAlreadyExistsException", 400,
       "The image tag 'v1' already exists in the 'team/app' repository and cannot be overwritten because the tag is immutable.",
       ecr.put_image, repositoryName="team/app", imageManifest=other, imageTag="v1")

# Policies.
raises(ecr, "RepositoryPolicyNotFoundException", 400, f"Repository policy does not exist for the repository with name 'team/app' {WHERE}",
       ecr.get_repository_policy, repositoryName="team/app")
raises(ecr, "InvalidParameterException", 400,
       "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'",
       ecr.set_repository_policy, repositoryName="team/app", policyText="{}")
policy = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]},
]})
check(ecr.set_repository_policy(repositoryName="team/app", policyText=policy)["policyText"], policy, "policy set")
check(ecr.get_repository_policy(repositoryName="team/app")["policyText"], policy, "policy")
check(ecr.delete_repository_policy(repositoryName="team/app")["policyText"], policy, "policy deleted")

# What is not done is refused.
fails("InvalidParameterException", "Images are not scanned by this server: scanOnPush can only be false.",
      ecr.put_image_scanning_configuration, repositoryName="team/app", imageScanningConfiguration={"scanOnPush": True})
fails("NotImplemented", None, ecr.get_lifecycle_policy, repositoryName="team/app")

# The login of docker.
login = ecr.get_authorization_token()["authorizationData"][0]
check(base64.b64decode(login["authorizationToken"])[:4], b"AWS:", "login")
check(login["proxyEndpoint"], ecr.meta.endpoint_url, "where to log in")

# The end.
gone = ecr.batch_delete_image(repositoryName="team/app", imageIds=[{"imageTag": "v1"}, {"imageTag": "v9"}])
check(([x["imageTag"] for x in gone["imageIds"]], [x["failureCode"] for x in gone["failures"]]), (["v1"], ["ImageNotFound"]), "deleted")
raises(ecr, "RepositoryNotEmptyException", 400,
       f"The repository with name 'team/app' in registry with id '{ACCOUNT}' cannot be deleted because it still contains images",
       ecr.delete_repository, repositoryName="team/app")
for name in ["a1", "a2", "a3"]:
    ecr.create_repository(repositoryName=name)
pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2})
check([x["repositoryName"] for p in pages for x in p["repositories"]], ["a1", "a2", "a3", "team/app"], "repositories in pages")
ecr.delete_repository(repositoryName="team/app", force=True)
check([x["repositoryName"] for x in ecr.describe_repositories()["repositories"]], ["a1", "a2", "a3"], "repositories")
print("ok")
