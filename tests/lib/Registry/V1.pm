package Registry::V1;
use v5.36;

# What clients of the first API do, from docker 0.9 to 17.06, and images for it.
#
#   my $v1 = Registry::V1->new($registry);
#   is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('foo/bar', 'latest', image('A'), image('B'));
#
# new($client): a Registry::Client, or anything whose request() does the same (over TLS, say).
# Options: user ("name:password"); https (docker sends its password, or an empty one, with each
# request; else only with those that ask for a token, and the token with all others);
# version (1.6 sends an empty password where 17.05 sends nothing); skips (push_images takes a 409 to a JSON
# for done, as docker does, and doesn't complain).

use Digest::SHA qw(sha256_hex);
use Exporter 'import';
use IO::Compress::Gzip qw(gzip $GzipError);
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use MIME::Base64 qw(decode_base64 encode_base64);
use Registry::Tools;

our @EXPORT = qw(image random_image random_chain tar_of payload_of);

sub new ($class, $client, %o) { return bless { client => $client, version => '1.6', %o }, $class }

# ---- the images of a recorded push: JSON, layer, and the sums that docker made of them ----

my %IMAGES = (
    'A' => {
        payload   => 'sha256:84010845d6ffbea90fe18cd812e85689f60c358c1eb75838222fd64b2aaf6c17',
        tarsum    => 'tarsum+sha256:e867d05b88d4735ff085c99b81482810c893055f46eac81a811b136ab3bcf079',
        tarsum_v1 => 'tarsum.v1+sha256:e17b3611df9134560b1189a9d2810c8b5f562668fffb0f54714f42fe1339fdb5',
        layer     => <<~'END',
            H4sIAAAAAAAC/+2YQQqDMBBFs+4pLD2AmSRjzhNbq6WgYCz0+I0uU7C0kNGSeZuIujB8//yv9a0vRWJkwCIuayBe
            l2NQWhtj7HIepK5AFCgIePjJjeFRxmGY1u77dP1PqYP+vkuvf2XMiv421t+CFoVk/ZNzOl7dvTkIJk9m/9cu7QRY
            HG7tF/MfEIP/VerBxP4XzXTeZ/4bzn8q/R2B/uv5b2L9UQHnPwVDz+GfM7P/2/ASbOt/jPNfacX+p6DlAZC9/zs3
            Xrb1f9z/FGgpCqAoJ5n7f95W6g+AH/o/Wu7/dPr7R13uSn/QFbL+pPo/t5z/6u3/j7Hc/yjwXP4YhmGy5AWDFqsc
            ACAAAA==
            END
    },
    'A sent' => {
        payload   => 'sha256:0115b10a23a23c009c68069a9166143df25f76d68ff678c2dc3cb94fcfa5b1f9',
        tarsum    => 'tarsum+sha256:e867d05b88d4735ff085c99b81482810c893055f46eac81a811b136ab3bcf079',
        tarsum_v1 => 'tarsum.v1+sha256:e17b3611df9134560b1189a9d2810c8b5f562668fffb0f54714f42fe1339fdb5',
        layer     => <<~'END',
            H4sIAAAAAAAA/0rKzNNnoDEwMDAwMDc1BdMGBgboNJhtaGRsbGJiYg4WNzQ0MzJkUDCltcNAoLS4JLGIwcCgKD+/
            BJ86QvLonhsiAAAAAP//AsV/cQZt7QCFh5mJCZ74N0eLfyNDU2MGBboE4giPfwAAAAD//1JWTEvMTuUCAAAA//8a
            aGeMggECoPyflEjbEgCcw83NSSj/jQ0MjRkUjGhdMDGM5n8AAAAA//9KLUkenPW/yWj9Tw8AAAAA//8CxX8ije0g
            XP+boMe/uZnhaP1PDwAAAAD//8rPS+UCAAAA//8aaDeMgoEDoPyfnp+XSks7COd/U/T2v4m50Wj+pwcAAAAA//8C
            xT0XAAAA//8aaEeMggEDoPyfkViUQks7COd/jPa/sbkBg4IhPRonIzz/AwAAAP//AnmL1h0A0tv/RgbGo+1/ugAA
            AAAA//8Cx39xaRIt0wAZ8W9mZDoa//QAAAAAAP//gsd/Be3sIFz+G2GM/xiYj7b/6AEAAAAA//8q5gIAAAD//xpo
            F4yCUTAKRsEoGAgACAAA///2KauRACAAAA==
            END
    },
    'B' => {
        payload   => 'sha256:fb264a34947d0c10d2689774609848eaf5df3cd74c6590f6b18bda791cf5587c',
        tarsum    => 'tarsum+sha256:c69e04a93ecf3f514f9f58ae1de6c6a8e0cbe4aaea3c24e780333e3428177ed8',
        tarsum_v1 => 'tarsum.v1+sha256:c5074463b52312afd9e43b7b8612cdafef432f61c5a7944d2c3a5457347f54c2',
        layer     => <<~'END',
            H4sIAAAAAAAC/+2WwQrDIAyGPe8p+gRtjKY+TxmynXTrHL7+rEcPLT0022g+kAh6ED7DH5+ugzoYKDiiWgttrXuN
            xlhrHYBWoMGMpDpSDLxfaZrLU+YY09q9rfM/xRf/fb73txj8kf5Ha3f41w616kD8s/ifGPp/3b9t+58QxT8HKceL
            Ek7L8q0Hhv7fmf/kJP/5/C8DQF3x8fyJ/EciyX8+/8Hn7+Y/tvOfAfHPQpD0FwRBOCUfS387AQAUAAA=
            END
    },
    'B sent' => {
        payload   => 'sha256:d2586a5e21fd2e1bef9119b54c619ab6dcfc4be2be0bb0e9f640a204b342dd0c',
        tarsum    => 'tarsum+sha256:c69e04a93ecf3f514f9f58ae1de6c6a8e0cbe4aaea3c24e780333e3428177ed8',
        tarsum_v1 => 'tarsum.v1+sha256:c5074463b52312afd9e43b7b8612cdafef432f61c5a7944d2c3a5457347f54c2',
        layer     => <<~'END',
            H4sIAAAAAAAA/0otSdZnoDEwMDAwMDc1BdMGBgboNJhtaGRsbGJiYm5gYMhgYGhoZmTKoGBKa4eBQGlxSWIRg4FB
            UX5+CT51hOTRPTdEAAAAAP//AsW/XnmGXnp+Xiqt7ACFh5mJCQnxb2xoZsigQJdAHOHxDwAAAP//AsV/Io3tIBz/
            Juj539zMaDT+6QEAAAAA//8qKc/nAgAAAP//Gmg3jIKBA6BkTesGAOn1v5GB8Wj9TxcAAAAA//8Cxz+oAQDG+QWF
            NLCD9PrfxMBwtP6nCwAAAAD//wLHf15qOS3tIBz/Ruj539RkNP7pAgAAAAD//8rjAgAAAP//GmgXjIJRMApGwSgY
            CAAIAAD//+qklNsAFAAA
            END
    },
    'C' => {
        payload   => 'sha256:23b8919c084b80c4786f43f80a5722c3fb68669de39dc8d34447565b37074d4d',
        tarsum    => 'tarsum+sha256:e5407997a98a7f779d1a5d9ffde09a1f238ce2d29580c1cbaf01fa7ff4375446',
        tarsum_v1 => 'tarsum.v1+sha256:5e3ef2119cd8cbb27de49b40a4c54e55d2bc921e51c2a39a9d66dbfd6f628d25',
        unzip     => 1,
        layer     => <<~'END',
            H4sIAAAAAAAC/+3UsRLCIAyAYWafok8QEpKY59FJl+JVrK8v15Ghnah6zbfAAXcM/wHE0B1WprqMVTsuc0rMImKI
            qa6bKYZBww5ez3KZ6pVTzmXt3Nb+n4KYHyX+WH9C1eT99+s/d+9/Flnpz21/Yw4Dev/uZjoFd1wQ4X2D63386vtv
            /3+iJP7+nXOupw87J/rTAA4AAA==
            END
    },
    'E' => {
        payload   => 'sha256:786316e6ea52cd7d00a11b9bbf0e3272f37d97c6a28dae38d95f64ae29d4bfc5',
        tarsum    => 'tarsum+sha256:b2cb6c88386aaf65d2e721b8c5bf7d4909c90d9a664f42492368fa3b51d6d1ec',
        tarsum_v1 => 'tarsum.v1+sha256:b2cb6c88386aaf65d2e721b8c5bf7d4909c90d9a664f42492368fa3b51d6d1ec',
        layer     => <<~'END',
            H4sIAAAAAAAC/2NgGAWjYBSMVAAALq+17wAEAAA=
            END
    },
);

my %JSON = (
    A => join('',
        '{"id":"b2ce039a47e5670131aa1b05aeb44f52864fb1001d629bb284b8a0631ddc8350","created":"2014',
        '-05-13T16:53:20.000000001Z","container_config":{"Cmd":["/bin/sh","-c","#(nop) ADD file i',
        'n / \\u0026\\u0026 \\u003ctrue\\u003e"]},"docker_version":"1.6.0","config":{"Env":["A=1"],"C',
        'md":["/bin/sh"]},"architecture":"amd64","os":"linux","Size":18}',
    ),
    B => join('',
        '{"id":"054390bfba7e1a09e9780536c54a4423f9a0faa1eef11327fa6d2a54a4b3c9f4","parent":"b2ce0',
        '39a47e5670131aa1b05aeb44f52864fb1001d629bb284b8a0631ddc8350","created":"2014-05-13T16:53',
        ':21Z","container_config":{"Cmd":null},"docker_version":"1.6.0","architecture":"amd64","o',
        's":"linux","Size":6}',
        "\n",
    ),
    C => join('',
        '{"id":"327f0af97b24e2bac792a439a65f367b65e7673823c42a891a2ba043160ab9a1","parent":"05439',
        '0bfba7e1a09e9780536c54a4423f9a0faa1eef11327fa6d2a54a4b3c9f4"}',
    ),
    E => join('',
        '{"id":"3e5c823c1f1ab6eb163178e3ec4df7305d7c58cb4fed00370793a6d7db497210","parent":"327f0',
        'af97b24e2bac792a439a65f367b65e7673823c42a891a2ba043160ab9a1","created":"2014-05-13T16:53',
        ':23Z","config":{"Cmd":["/bin/true"]}}',
    ),
);

# One of them: A is the base, B stands on A, C on B, E on C. "A sent" and "B sent" have the layer as docker
# compressed it. C is an uncompressed tar, and E an empty one.
sub image ($name) {
    my %image = %{ $IMAGES{$name} };
    my $bytes = decode_base64(delete $image{layer});
    if (delete $image{unzip}) {
        gunzip(\$bytes, \my $plain) or die $GunzipError;
        $bytes = $plain;
    }
    my $json = $JSON{ substr $name, 0, 1 };
    return { %image, json => $json, layer => $bytes, _ids($json) };
}

sub _ids ($json) {
    my ($id)     = $json =~ /"id":"(\w+)"/;
    my ($parent) = $json =~ /"parent":"(\w+)"/;
    return (id => $id, parent => $parent);
}

# ---- images that nobody has seen ----

sub payload_of ($json, $layer) { return 'sha256:' . sha256_hex("$json\n$layer") }

# A tar of files, [name, content] each.
sub tar_of (@files) {
    my $tar = '';
    for my $file (@files) {
        my ($name, $content) = @$file;
        my @ids  = ('0000000') x 2;
        my $head = pack 'a100 a8 a8 a8 a12 a12 A8 a1 a100 a6 a2 a32 a32 a8 a8 a155 x12', $name, '0000644', @ids,
            sprintf('%011o', length $content), '11743234400', '', '0', '', 'ustar', '00', '', '', @ids, '';
        substr $head, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $head;
        $tar .= $head . $content . "\0" x (-length($content) % 512);
    }
    return $tar . "\0" x 1024;
}

# Options: size of the file in the layer; note (makes it another image of the same layer).
sub random_image ($parent = undef, %o) {
    my $id     = sha256_hex(random_bytes(16));
    my $tar    = tar_of([ "file-$id", random_bytes($o{size} // 200) ]);
    my $parent_member = defined $parent ? qq{,"parent":"$parent"} : '';
    # as docker writes it: escapes that would vanish if it were read and written, and a newline
    my $json = qq({"id":"$id"$parent_member,"created":"2014-05-13T16:53:20.000000001Z",)
        . qq("config":{"Cmd":["/bin/sh","-c","true \\u0026\\u0026 echo \\u003c$id\\u003e"]},"Size":1}\n);
    gzip(\$tar, \my $layer, -Minimal => 1) or die $GzipError;
    return { id => $id, parent => $parent, json => $json, layer => $layer, payload => payload_of($json, $layer) };
}

# So many, each on the one before.
sub random_chain ($n, %o) {
    my @chain;
    push @chain, random_image(@chain ? $chain[-1]{id} : undef, %o) for 1 .. $n;
    return @chain;
}

# ---- requests ----

# session: one of those that ask for a token.
sub _headers ($self, $session, $method, %more) {
    my %headers = (
        'User-Agent'      => 'docker/1.6.0 go/go1.4.2 git-commit/4749651 kernel/3.13.0 os/linux arch/amd64',
        'Accept-Encoding' => 'gzip', %more,
    );
    my $basic = 'Basic ' . encode_base64($self->{user} // ':', '');
    $headers{'X-Docker-Token'} = 'true' if $session;
    if ($self->{https}) {
        $headers{Authorization} = $basic;
    } elsif ($session && (defined $self->{user} || ($self->{version} eq '1.6' && $method eq 'PUT'))) {
        $headers{Authorization} = $basic;
    } elsif (defined $self->{token} || $self->{version} eq '1.6') {
        $headers{Authorization} = 'Token ' . ($self->{token} // '') if !$session || $method eq 'PUT';
    }
    return \%headers;
}

# Options as Registry::Client::request; session, as above.
sub request ($self, $method, $path, %o) {
    my $headers  = $self->_headers(delete $o{session}, $method, %{ delete $o{headers} // {} });
    my $response = $self->{client}->request($method, $path, %o, headers => $headers);
    $self->{token} = $response->header('X-Docker-Token') // $self->{token};
    return $response;
}

sub get ($self, $path, %o) { return $self->request('GET', $path, %o) }
sub put ($self, $path, $body, %o) { return $self->request('PUT', $path, body => $body, %o) }

my %JSON_TYPE = (headers => { 'Content-Type' => 'application/json' });

sub get_json ($self, $id) { return $self->get("/v1/images/$id/json") }

sub put_json ($self, $image) { return $self->put("/v1/images/$image->{id}/json", $image->{json}, %JSON_TYPE) }

# In chunks, as docker does; chunked => 0: with a length.
sub put_layer ($self, $image, %o) {
    return $self->put("/v1/images/$image->{id}/layer", $image->{layer},
        chunked => $o{chunked} // 97, headers => { 'Content-Type' => 'application/octet-stream' });
}

# Other sums than the image's: payload, tarsum.
sub put_checksum ($self, $image, %o) {
    my %sums = (payload => $image->{payload}, tarsum => $image->{tarsum}, %o);
    my %headers;
    $headers{'X-Docker-Checksum-Payload'} = $sums{payload} if defined $sums{payload};
    $headers{'X-Docker-Checksum'}         = $sums{tarsum}  if defined $sums{tarsum};
    return $self->put("/v1/images/$image->{id}/checksum", '', headers => \%headers);
}

sub put_tag ($self, $repository, $tag, $id) {
    return $self->put("/v1/repositories/$repository/tags/$tag", qq("$id"), %JSON_TYPE);
}

sub begin ($self, $repository, $tag, @images) {
    my @list = map { qq({"id":"$_->{id}"}) } @images;
    $list[-1] =~ s/\}$/,"Tag":"$tag"}/;
    return $self->put("/v1/repositories/$repository/", '[' . join(',', @list) . ']', %JSON_TYPE, session => 1);
}

sub finish_push ($self, $repository) {
    return $self->put("/v1/repositories/$repository/images", '[]', session => 1,
        headers => { 'Content-Type' => 'application/json', 'X-Docker-Endpoints' => 'http://localhost/v1/' });
}

# ---- conversations ----

# One image: [what, answer, the status that it ought to have], one for each step.
sub push_image ($self, $image) {
    my $json = $self->put_json($image);
    return [ 'PUT json', $json, 409 ] if $self->{skips} && $json->status == 409;
    return (
        [ 'PUT json',     $json,                       200 ],
        [ 'PUT layer',    $self->put_layer($image),    200 ],
        [ 'PUT checksum', $self->put_checksum($image), 200 ],
    );
}

# All that docker does to push these images, the base first, under one tag. What is there isn't sent again.
sub push_images ($self, $repository, $tag, @images) {
    my @steps = [ 'PUT repository', $self->begin($repository, $tag, @images), 200 ];
    my @there = map { $self->get_json($_->{id}) } @images;
    for my $i (0 .. $#images) {
        my $known = $there[$i]->status == 200;
        push @steps, [ 'GET json', $there[$i], $known ? 200 : 404 ];
        push @steps, $self->push_image($images[$i]) if !$known;
    }
    push @steps, [ 'PUT tag',    $self->put_tag($repository, $tag, $images[-1]{id}), 200 ];
    push @steps, [ 'PUT images', $self->finish_push($repository),                   204 ];
    return @steps;
}

# All that docker 1.6 does to pull a tag: { steps, images }, as above, and with JSON and layer as they
# came, the base first.
sub pull_images ($self, $repository, $tag) {
    my $session = $self->get("/v1/repositories/$repository/images", session => 1);
    my $tags    = $self->get("/v1/repositories/$repository/tags");
    my @steps   = ([ 'GET images', $session, 200 ], [ 'GET tags', $tags, 200 ]);
    my $top     = ($tags->json // {})->{$tag} // return { steps => \@steps, images => [] };
    my $chain   = $self->get("/v1/images/$top/ancestry");
    push @steps, [ 'GET ancestry', $chain, 200 ];
    my @images;
    for my $id (reverse @{ $chain->json // [] }) {
        my $json  = $self->get_json($id);
        my $layer = $self->get("/v1/images/$id/layer");
        push @steps, [ 'GET json', $json, 200 ], [ 'GET layer', $layer, 200 ];
        push @images, {
            id => $id, json => $json->content, layer => $layer->content,
            size => $json->header('X-Docker-Size'), payload => $json->header('X-Docker-Checksum-Payload'),
        };
    }
    return { steps => \@steps, images => \@images };
}

1;
