# --quota: the bytes of repositories together, exact while eight push, and free again after deletions.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use POSIX ();
use Test::More;

sub quotas ($registry, @args) {
    my $ran = Registry->try([ 'repo', 'du', @args, '--json', '--dir', $registry->dir ]);
    is($ran->{exit}, 0, "repo du @args") or diag($ran->{err});
    return JSON::PP->new->decode($ran->{out});
}

sub used ($registry, $repository, $pattern) {
    my ($quota) = grep { $_->{pattern} eq $pattern } @{ quotas($registry, $repository)->{all}{quotas} // [] };
    return $quota->{used};
}

sub size_of ($registry, @layers) { my ($config, $manifest) = $registry->image_of([@layers]); my $sum = length($config) + length($manifest); $sum += length $_ for @layers; return $sum }

sub upload ($registry, $repository, $body) {
    my $place = $registry->start_upload($repository) // return;
    return $registry->put($registry->with_digest($place, digest($body)), body => $body);
}

subtest 'a quota that is used up' => sub {
    my $registry = Registry->start(args => [ '--quota', '** 1K' ]);
    is_status($registry->push_blob('a', random_bytes(1024)), 201, 'a blob takes all of it');
    my $refused = $registry->post('/v2/a/blobs/uploads/');
    is_error($refused, 403, 'DENIED', 'no upload begins');
    like($refused->content, qr/and this needs 1 byte more/, '... because of one byte');
};

subtest 'figures' => sub {
    my $registry = Registry->start(args => [ '--quota', 'team/** 100K', '--quota', 'team/a 60K', '--lease', '1h', '--history-keep', '0' ]);
    my ($base, $one, $two) = map { random_bytes($_) } 30_000, 20_000, 40_000;
    is_status($registry->push_image('team/a', 'v1', [ $base, $one ]), 201, 'an image below both quotas');
    my $size = size_of($registry, $base, $one);
    is(used($registry, 'team/a', $_), $size, "is counted for $_, manifest and config included") for 'team/**', 'team/a';
    is_status($registry->push_image('team/a', 'same', [ $base, $one ]), 201, 'the same with another tag');
    is(used($registry, 'team/a', 'team/a'), $size, '... counts nothing more');
    my $refused = $registry->post('/v2/team/a/blobs/uploads/?digest=' . digest($two), body => $two);
    is_error($refused, 403, 'DENIED', 'a blob that passes one of them');
    my $left  = 60 * 1024 - $size;
    my $shown = sprintf '%.1f', $size / 1000;
    like($refused->content, qr/the quota of team\/a is 61.4 kB, $shown kB are used, and this needs 40.0 kB more/, '... with figures');
    like($refused->content, qr/at most $left bytes more/, '... and what is left');
    my $place = $registry->start_upload('team/a');
    is_error($registry->patch($place, body => $two), 403, 'DENIED', 'so is a piece of an upload');
    is_status($registry->get($place), 404, '... which ends the upload');
    $place = $registry->start_upload('team/a');
    is_status($registry->patch($place, body => substr($two, 0, 5000)), 202, 'a piece that fits is taken');
    is_error($registry->patch($place, body => substr($two, 5000)), 403, 'DENIED', '... the one that passes it is not');
    is_status($registry->get($place), 404, '... and ends the upload, too');
    for my $i (1 .. 110) {
        my $answer = $registry->patch($registry->start_upload('team/a') // last, body => $two, chunked => $i % 2);
        is_error($answer, 403, 'DENIED', "refused, and no upload is left: $i") if $answer->status != 403 || $i == 110;
    }
    $place = $registry->start_upload('team/a');
    is_status($registry->patch($place, body => substr($two, 0, 5000)), 202, 'after many refused ones another upload begins');
    is_error($registry->put($registry->with_digest($place, digest($two)), body => substr($two, 5000)), 403, 'DENIED', '... whose last piece is refused');
    is_status($registry->get($place), 404, '... which ends the upload');
    $place = $registry->start_upload('team/a');
    is_status($registry->patch($place, body => substr($two, 0, 5000)), 202, 'an upload');
    is_error($registry->put($registry->with_digest($place, digest($two)), body => substr($two, 5000), chunked => 1), 403, 'DENIED', '... whose last piece has no announced length');
    is_status($registry->get($place), 404, '... is ended as well');
    is_status($registry->push_image('team/b', 'v1', [$base]), 201, 'another repository has only the quota of all');
    is(used($registry, 'team/b', 'team/**'), $size + size_of($registry, $base), 'a shared layer counts once in each repository');
    is(used($registry, 'team/b', 'team/a'), undef, '... which the other quota doesn\'t see');
    is_status($registry->push_image('other/x', 'v1', [$two]), 201, 'elsewhere there is no quota');
    is_error($registry->post('/v2/team/b/blobs/uploads/?mount=' . digest($two) . '&from=other/x', body => ''), 403, 'DENIED', 'a mount passes it as well');
    is(quotas($registry, 'other/x')->{all}{quotas}, undef, 'no quota is shown there');

    my $digest = digest(($registry->image_of([ $base, $one ]))[1]);
    is_status($registry->delete("/v2/team/a/manifests/$digest"), 202, 'the image is deleted');
    is(used($registry, 'team/a', 'team/a'), 0, '... and counts no more');
    is_status($registry->push_image('team/a', 'v1', [$two]), 201, 'there is room for the other layer');
    is(used($registry, 'team/a', 'team/a'), size_of($registry, $two), '... which is counted');
    is_error($registry->put_manifest('team/a', 'v2', ($registry->image_of([ $base, $one ]))[1]), 403, 'DENIED', 'a manifest of blobs that counted no more counts them again');
    is_status($registry->delete('/v2/team/b/manifests/v1'), 202, 'a tag alone');
    is(used($registry, 'team/b', 'team/**'), size_of($registry, $two) + size_of($registry, $base), '... frees nothing');
    my $text = Registry->try([ 'repo', 'du', 'team/a', '--dir', $registry->dir ])->{out};
    like($text, qr/^quota of team\/a: 4\d\.\d kB of 61\.4 kB$/m, 'repo du says it');

    my $sum = used($registry, 'team/b', 'team/**');
    $registry->stop;
    my $again = Registry->start(dir => $registry->dir, args => [ '--quota', '*/b 1M', '--quota', 'team/** 1M' ]);
    is(used($again, 'team/b', '*/b'), size_of($again, $base), 'a new quota is counted at the start');
    is(used($again, 'team/b', 'team/**'), $sum, '... and one that was there goes on');
    is(used($again, 'team/a', 'team/a'), undef, '... one that is not given is gone');
    my ($m) = map { digest(($again->image_of([$_]))[1]) } $base;
    is_status($again->delete("/v2/team/b/manifests/$m"), 202, 'a deletion');
    is(used($again, 'team/b', '*/b'), 0, '... is counted off the new one, too');
    $again->stop;
    my $back = Registry->start(dir => $registry->dir, args => [ '--quota', 'team/a 60K' ]);
    is(used($back, 'team/a', 'team/a'), size_of($back, $two), 'one that comes back is counted anew');
};

subtest 'what is collected counts no more' => sub {
    my $registry = Registry->start(args => [ '--quota', '** 100K', '--lease', '2s', '--gc-interval', '1s' ]);
    is_status(upload($registry, 'a/b', random_bytes(90_000)), 201, 'a blob that no manifest names');
    is(used($registry, 'a/b', '**'), 90_000, '... counts');
    ok(wait_for(20, sub { used($registry, 'a/b', '**') == 0 }), '... until it is collected');
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(90_000) ]), 201, 'then there is room');
};

subtest 'eight at once' => sub {
    my $limit    = 300_000;
    my $registry = Registry->start(args => [ '--quota', "many/* $limit" ]);
    my @layers   = map { random_bytes(20_000) } 1 .. 40;
    pipe(my $read, my $write) or die;
    my @pids;
    for my $n (0 .. 7) {
        my $pid = fork // die;
        if ($pid == 0) {
            for my $i (grep { $_ % 8 == $n } 0 .. $#layers) {
                my $done = upload($registry, "many/r$n", $layers[$i]);
                syswrite $write, ($done ? $done->status : 403) . "\n";
            }
            POSIX::_exit(0);
        }
        push @pids, $pid;
    }
    close $write;
    my %answers;
    $answers{$_}++ for map { chomp; $_ } <$read>;
    waitpid $_, 0 for @pids;
    is_deeply(\%answers, { 201 => 15, 403 => 25 }, 'as many as fit are taken, and no more') or diag(explain(\%answers));
    is(scalar(grep { my $layer = $_; grep { $registry->head("/v2/many/r$_/blobs/" . digest($layer))->status == 200 } 0 .. 7 } @layers), 15, '... and are there');
};

subtest 'the first API' => sub {
    my $registry = Registry->start(args => [ '--quota', 'old/* 50K' ]);
    my $push     = sub ($id, $name, $size) {
        my $layer = random_bytes($size);
        my $json  = qq({"id":"$id"});
        is_status($registry->put("/v1/images/$id/json", body => $json), 200, "$name: json");
        is_status($registry->put("/v1/images/$id/layer", body => $layer), 200, '... layer');
        is_status($registry->put("/v1/images/$id/checksum", headers => { 'X-Docker-Checksum-Payload' => 'sha256:' . Digest::SHA::sha256_hex("$json\n$layer") }), 200, '... checksum');
        return $registry->put("/v1/repositories/old/a/tags/$name", body => qq("$id"));
    };
    is_status($push->('1a' x 32, 'one', 30_000), 200, 'an image below the quota');
    is($push->('2b' x 32, 'two', 30_000)->status, 403, '... and one that passes it');
    cmp_ok(used($registry, 'old/a', 'old/*'), '>=', 30_000, 'its layer is counted');
};

subtest 'wrong usage' => sub {
    for my $quota ('team/**', 'team/** x', '{user}/** 1G', '/x 1G', '100G', 'a 0') {
        my $ran = Registry->try([ '--quota', $quota, '--dir', tempdir() ]);
        is($ran->{exit}, 2, "--quota '$quota'");
    }
};

finish();
