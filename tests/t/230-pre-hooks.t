# Pre-hooks are asked before a tag moves or something is deleted: one that refuses is heard by the user, one
# that misbehaves hurts nobody else.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Clients;
use Registry::Images;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use JSON::PP qw(decode_json);
use Test::More;
use Time::HiRes qw(time);

my $layer = random_bytes(20_000);

# A directory that hooks may write to.
sub open_dir () { my $dir = tempdir(); chmod 0777, $dir; return $dir }

# An executable file hooks/NAME of a registry (or of its directory).
sub hook_file ($dir, $name, $text, $mode = 0755) {
    mkdir "$dir/hooks";
    spew("$dir/hooks/$name.new", $text);
    chmod $mode, "$dir/hooks/$name.new";
    rename "$dir/hooks/$name.new", "$dir/hooks/$name" or die $!;
    return;
}

sub tag_of ($registry, $name, $tag) { return $registry->head("/v2/$name/manifests/$tag")->header('Docker-Content-Digest') }

subtest 'a hook that refuses' => sub {
    my $seen     = open_dir();
    my $script   = q{env | grep ^REGISTRY_ | sort >"$SEEN/env"; printf '%s\n' "$0" "$@" >"$SEEN/args"; cat >"$SEEN/document"; }
        . q{pwd >"$SEEN/pwd"; echo "looking at $2"; [ "$REGISTRY_TAG" != latest ] || { echo "no latest, please" >&2; exit 1; }};
    my $registry = Registry->start(args => [ '--on-pre-tag', $script, '--user', 'ann:secret' ], env => { SEEN => $seen }, user => 'ann:secret');
    is_status($registry->push_image('library/app', 'v1', [$layer]), 201, 'another tag is let through');
    my $before = digest(slurp("$seen/document"));
    is($before, tag_of($registry, 'library/app', 'v1'), '... with the manifest on stdin');
    my ($config, $manifest) = $registry->image_of([$layer]);
    is(slurp("$seen/args"), "pre-tag\n" . digest($config) =~ s/.*://r . "\napp:v1\n", '$0, $1 and $2');
    is(slurp("$seen/pwd"), "$registry->{dir}\n", 'it runs in the data directory');
    my %env = map { split /=/, $_, 2 } split /\n/, slurp("$seen/env");
    delete $env{REGISTRY_SERVER};    # the test's own
    like(delete $env{REGISTRY_TIME}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'the time');
    is_deeply(\%env, {
        REGISTRY_EVENT => 'pre-tag', REGISTRY_EVENT_ID => '', REGISTRY_REPOSITORY => 'library/app', REGISTRY_TAG => 'v1',
        REGISTRY_DIGEST => digest($manifest), REGISTRY_OLD_DIGEST => '', REGISTRY_MEDIA_TYPE => $Registry::Client::TYPE{manifest},
        REGISTRY_ACTOR => 'ann',
    }, 'and the rest of the environment');

    my $refused = $registry->push_image('library/app', 'latest', [$layer], note => 'other');
    is_error($refused, 403, 'DENIED', 'is a 403');
    is($refused->message, 'no latest, please', '... with its last line');
    is_error($registry->get('/v2/library/app/manifests/latest'), 404, 'MANIFEST_UNKNOWN', 'there is no such tag');
    is_deeply($registry->get('/v2/library/app/tags/list')->json->{tags}, ['v1'], '... in no list');
    is_status($registry->push_image('library/app', 'v1', [$layer], note => 'other'), 201, 'v1 moves');
    like(slurp("$seen/env"), qr/^REGISTRY_OLD_DIGEST=\Q$before\E$/m, '... from where it was');
    my ($other) = ($registry->image_of([$layer], note => 'by digest'))[1];
    $registry->push_blob('library/app', ($registry->image_of([$layer], note => 'by digest'))[0]);
    unlink "$seen/args";
    is_status($registry->put_manifest('library/app', digest($other), $other), 201, 'a push by digest moves no tag');
    ok(!-e "$seen/args", '... and asks nobody');
    is_error($registry->put_manifest('library/app', digest($other) . '?tag=v7&tag=latest', $other), 403, 'DENIED', 'of two tags one is refused');
    is(tag_of($registry, 'library/app', 'v7'), undef, '... so none is moved');

    my ($id) = digest($config) =~ /:(.{12})/;
    like($registry->output, qr/^$id - executing \.\/hooks\/pre-tag [0-9a-f]{64} app:v1$/m, 'the log tells that it is executed');
    like($registry->output, qr/^$id - \.\/hooks\/pre-tag: looking at app:v1$/m, '... and what it says');
    is_tidy($registry);
    $registry->stop;
};

subtest 'deleting' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(args => [ '--on-pre-delete', 'echo "$2" >>"$SEEN/asked"; echo "keep $2"; [ ! -e "$SEEN/refuse" ]' ], env => { SEEN => $seen });
    is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'a push asks nobody');
    ok(!-e "$seen/asked", '... really');
    my $digest = tag_of($registry, 'a/b', 'v1');
    spew("$seen/refuse", '');
    my $refused = $registry->delete('/v2/a/b/manifests/v1');
    is_error($refused, 403, 'DENIED', 'a tag is not deleted');
    is($refused->message, 'keep a/b:v1', '... with the message');
    is_error($registry->delete("/v2/a/b/manifests/$digest"), 403, 'DENIED', 'nor is the manifest');
    is(tag_of($registry, 'a/b', 'v1'), $digest, 'both are there');
    unlink "$seen/refuse";
    is_status($registry->delete('/v2/a/b/manifests/v1'), 202, 'let through, the tag is deleted');
    is_status($registry->delete("/v2/a/b/manifests/$digest"), 202, '... and the manifest');
    is(slurp("$seen/asked"), "a/b:v1\na/b\@$digest\n" x 2, 'each was asked about once');
    $registry->stop;
};

for my $name (qw(podman docker)) {
    subtest "$name shows the message" => sub {
        my $client;
        if ($name eq 'podman') {
            $client = Registry::Clients->podman if find_program('podman');
            undef $client if $client && $client->run('info')->{exit};
        } elsif (find_program('dockerd') && is_root()) {
            $client = Registry::Clients->docker_engine;
        }
        if (!$client) {
            return fail("$name does not run here") if ($ENV{CI} // '') eq 'true';
            plan skip_all => "$name does not run here";
        }
        my $registry = Registry->start(args => [ '--on-pre-tag', q{echo "it's \"$REGISTRY_TAG\" that is not signed"; [ "$REGISTRY_TAG" = good ]} ]);
        my $address  = '127.0.0.1:' . $registry->port;
        my $tmp      = tempdir();
        my @push     = $name eq 'podman' ? ('push', '--tls-verify=false') : ('push');
        make_archive("$tmp/image.tar", "$address/team/app:good", 100_000);
        works($client->run('load', '-i', "$tmp/image.tar"), 'an image');
        works($client->run('tag', "$address/team/app:good", "$address/team/app:bad"), 'with another tag');
        is_refused($client->run(@push, "$address/team/app:bad"), qr/denied: it's "bad" that is not signed/, 'push is refused');
        works($client->run(@push, "$address/team/app:good"), 'another one is not');
        is_deeply($registry->get('/v2/team/app/tags/list')->json->{tags}, ['good'], 'only that one is there');
        $client->stop;
        $registry->stop;
    };
}

subtest 'values are received, never run' => sub {
    my $seen = open_dir();
    my $user = q{a'b "c" $(touch pwned) `touch pwned`; touch pwned #};
    my $registry = Registry->start(args => [ '--user', "$user:secret", '--on-pre-tag', 'printf %s "$REGISTRY_ACTOR" >"$SEEN/actor"; cat >"$SEEN/document"; ls >"$SEEN/files"' ],
        env => { SEEN => $seen }, user => "$user:secret");
    $registry->push_blob('a/b', $_) for $layer, ($registry->image_of([$layer]))[0];
    my $manifest = decode_json(($registry->image_of([$layer]))[1]);
    my $evil = "';\n\"\$(touch pwned)\n`touch pwned`\n\x{1b}[2J\x{fc}";
    $manifest->{annotations} = { $evil => $evil };
    my $document = JSON::PP->new->canonical->utf8->encode($manifest);
    is_status($registry->put_manifest('a/b', 'v1', $document), 201, 'a push by somebody with an odd name');
    is(slurp("$seen/actor"), $user, 'the name is as it is');
    is(slurp("$seen/document"), $document, 'so are annotations');
    unlike(slurp("$seen/files"), qr/pwned/, 'nothing was run');

    # a large one, to a hook that doesn't read it
    $manifest->{annotations} = { long => 'x' x 3_500_000 };
    $document = JSON::PP->new->canonical->utf8->encode($manifest);
    is_status($registry->put_manifest('a/b', 'v2', $document), 201, 'a manifest of 3.5 MB');
    is(digest(slurp("$seen/document")), digest($document), '... is received whole');
    $registry->stop;
    $registry = Registry->start(args => [ '--on-pre-tag', 'read -r -n 5 start; echo "$start"; [ "$REGISTRY_TAG" = v3 ]' ]);
    $registry->push_blob('a/b', $_) for $layer, ($registry->image_of([$layer]))[0];
    is_status($registry->put_manifest('a/b', 'v3', $document), 201, 'nobody dies when the hook does not read it');
    is($registry->put_manifest('a/b', 'v4', $document)->message, '{"ann', '... or only the beginning');
    $registry->stop;
};

# Pushes all that an image needs, and gives its manifest.
sub prepared ($registry, $name, $note = '') {
    my ($config, $manifest) = $registry->image_of([$layer], note => $note);
    $registry->push_blob($name, $_) for $layer, $config;
    return $manifest;
}

subtest 'a hook that hangs' => sub {
    my $registry = Registry->start(args => [ '--on-pre-tag', '[ "$REGISTRY_TAG" != slow ] || { trap "" TERM; sleep 1000 & sleep 1000; }',
            '--pre-hook-timeout', '3s', '--hook-jobs', '2', '--workers', '2', '--watchdog', '2s' ]);
    my $manifest = prepared($registry, 'a/b');
    is_status($registry->put_manifest('a/b', 'fast', $manifest), 201, 'a tag that it lets through');
    my $digest  = digest($manifest);
    my $started = time;
    my @results = in_parallel(6, 60, sub ($i) {
        if ($i < 4) {
            my $refused = $registry->put_manifest('a/b', 'slow', $manifest);
            return [ $refused->status, $refused->message ];
        }
        my ($n, $slowest) = (0, 0);
        while (time < $started + 6) {
            my $begun = time;
            return "failed: GET" if $registry->get("/v2/a/b/manifests/$digest")->status != 200;
            return "failed: HEAD" if $registry->head('/v2/a/b/blobs/' . digest($layer))->status != 200;
            return "failed: upload" if $registry->push_blob('a/c', random_bytes(1000))->status != 201;
            $slowest = time - $begun if time - $begun > $slowest;
            $n++;
        }
        return { n => $n, slowest => $slowest };
    });
    is_deeply([ @results[ 0 .. 3 ] ], [ map { [ 403, 'the hook pre-tag took longer than 3 s' ] } 1 .. 4 ], 'four pushes are refused after the limit');
    for my $other (@results[ 4, 5 ]) {
        ok(ref $other eq 'HASH' && $other->{n} > 10 && $other->{slowest} < 2, 'pulls and uploads go on meanwhile')
            or diag(explain($other));
    }
    is(tag_of($registry, 'a/b', 'slow'), undef, 'no tag was moved');
    ok(wait_for(5, sub { !grep { command_of($_) =~ /^sleep 1000/ } $registry->processes }), 'nothing of it is left');
    is_status($registry->put_manifest('a/b', 'fast', $manifest), 201, 'and the next one is answered');

    # somebody who waits for it dies
    my @waiting = in_parallel(2, 60, sub ($i) {
        return $registry->put_manifest('a/b', 'slow', $manifest)->status if $i == 0;
        wait_for(20, sub { grep { command_of($_) =~ /^sleep 1000/ } $registry->processes }) or return 'no hook';
        my ($worker) = grep { my $w = $_; grep { command_of($_) =~ /bash/ } children_of($w) } $registry->children('worker gate');
        kill 'KILL', $worker // return 'no worker';
        return wait_for(10, sub { !grep { command_of($_) =~ /^sleep 1000/ } $registry->processes }) ? 'gone' : 'left';
    });
    is_deeply(\@waiting, [ 503, 'gone' ], 'a worker that is killed takes the hook and its children with it');
    $registry->{expected} = qr/process died|upstream prematurely closed/;

    # the end of the server
    my $pid = fork // die;
    if ($pid == 0) {
        $registry->put_manifest('a/b', 'slow', $manifest);
        POSIX::_exit(0);
    }
    ok(wait_for(20, sub { grep { command_of($_) =~ /^sleep 1000/ } $registry->processes }), 'the hook hangs again');
    $registry->stop;
    waitpid $pid, 0;
    cmp_ok($registry->seconds_to_stop, '<', 10, 'the server stops all the same');
};

subtest 'the first API' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(args => [
        '--on-pre-tag',    'cat >"$SEEN/document"; echo "$1 $2 $REGISTRY_DIGEST" >"$SEEN/asked"; [ "$REGISTRY_TAG" = good ] || { echo "not $2"; exit 1; }',
        '--on-pre-delete', 'echo "$2 stays"; exit 1',
    ], env => { SEEN => $seen });
    my $v1    = Registry::V1->new($registry);
    my $image = image('A');
    my ($last) = ($v1->push_images('foo/bar', 'good', $image))[-1];
    is_status($last->[1], $last->[2], 'a push of an image');
    is($registry->get('/v1/repositories/foo/bar/tags')->json->{good}, $image->{id}, '... whose tag is let through');
    is(slurp("$seen/asked"), "$image->{id} foo/bar:good \n", 'the hook hears of the image');
    is(slurp("$seen/document"), $image->{json}, '... with its JSON on stdin');
    my $refused = $registry->put('/v1/repositories/foo/bar/tags/latest', body => qq("$image->{id}"), headers => { 'Content-Type' => 'application/json' });
    is_v1_error($refused, 403, 'another tag is refused');
    is($refused->json->{error}, 'not foo/bar', '... with the message');
    is_deeply($registry->get('/v1/repositories/foo/bar/tags')->json, { good => $image->{id} }, '... and is not there');
    for my $path ('/v1/repositories/foo/bar/tags/good', '/v1/repositories/foo/bar/') {
        my $kept = $registry->delete($path);
        is_v1_error($kept, 403, "DELETE $path is refused");
        is($kept->json->{error}, 'foo/bar:good stays', '... with the message');
    }
    is_deeply($registry->get('/v1/repositories/foo/bar/tags')->json, { good => $image->{id} }, 'the tag is still there');
    $registry->stop;
};

subtest 'a hook that talks, forks, or goes away' => sub {
    my $bytes    = Registry->sanitized ? 32 << 20 : 1 << 30;
    my $registry = Registry->start(env => { BYTES => $bytes }, args => [ '--on-pre-tag', <<'END', '--pre-hook-timeout', '60s' ]);
case $REGISTRY_TAG in
talk) yes | head -c "$BYTES"; echo "that was much"; exit 1;;
line) head -c 50M /dev/zero | tr '\0' x; exit 1;;
fork) for i in 1 2 3; do sleep 1000 & done; exit 0;;
close) exec >&- 2>&-; sleep 0.3; exit 1;;
signal) kill -SEGV $$;;
bytes) printf 'a\0b\377c\033]0;title\007\n'; exit 1;;
esac
END
    my $manifest = prepared($registry, 'a/b');
    my $refused  = $registry->with(timeout => 70)->put_manifest('a/b', 'talk', $manifest);
    is_error($refused, 403, 'DENIED', 'one that prints a gigabyte, in lines of two bytes');
    is($refused->message, 'that was much', '... is heard to its end');
    cmp_ok(length $registry->output, '<', 200_000, '... but the log has a part of it alone');
    like($registry->output, qr/more output is not written here/, '... and says so');
    is($registry->put_manifest('a/b', 'line', $manifest)->status, 403, 'one line of 50 MB');
    if (!$registry->sanitized) {
        cmp_ok(memory_peak_kb($_), '<', 60_000, '... nobody keeps it in memory') for $registry->children('worker gate');
    }
    is_status($registry->put_manifest('a/b', 'fork', $manifest), 201, 'one that leaves processes behind is over when it ends');
    ok(wait_for(5, sub { !grep { command_of($_) =~ /^sleep/ } $registry->processes }), '... and they are gone');
    is($registry->put_manifest('a/b', 'close', $manifest)->message, 'refused by the hook pre-tag (exit code 1)', 'one that closes its output');
    is($registry->put_manifest('a/b', 'signal', $manifest)->message, 'the hook pre-tag died of signal 11', 'one that crashes');
    my $odd = $registry->put_manifest('a/b', 'bytes', $manifest);
    is_error($odd, 403, 'DENIED', 'one that says odd bytes');
    unlike($odd->message, qr/[\x00-\x1f\x7f]/, '... of which no control character gets through');

    # pipes, files in memory, pidfds; those of the database come and go
    my $open = sub () {
        return join ' ', map { my $pid = $_; "$pid:" . grep { /^(pipe|anon_inode)|memfd/ } map { readlink } glob "/proc/$pid/fd/*" }
            sort $registry->children('worker gate');
    };
    my $before = $open->();
    like($before, qr/^(\d+:\d+ ?){4}$/, 'of four workers') or diag($before);
    $registry->put_manifest('a/b', $_, $manifest) for ('fork', 'close', 'x') x 5;
    ok(wait_for(5, sub { $open->() eq $before }), 'no descriptor is left') or diag("$before, then " . $open->());
    $registry->stop;
};

subtest 'a tag that moves while the hook looks at it' => sub {
    my $seen     = open_dir();
    my $registry = Registry->start(args => [ '--on-pre-tag', 'echo "<$REGISTRY_OLD_DIGEST>" >>"$SEEN/asked"; while [ -e "$SEEN/wait" ]; do sleep 0.05; done' ],
        env => { SEEN => $seen });
    my ($one, $two) = map { prepared($registry, 'a/b', $_) } 'one', 'two';
    is_status($registry->put_manifest('a/b', 'v1', $one), 201, 'a tag');
    spew("$seen/wait", '');
    my @done = in_parallel(2, 60, sub ($i) {
        return $registry->put_manifest('a/b', 'v1', $two)->status if $i == 0;
        wait_for(20, sub { slurp("$seen/asked") =~ /\n.*\n/ }) or return 'not asked';
        my $status = $registry->delete('/v2/a/b/manifests/v1')->status;
        unlink "$seen/wait";
        return $status;
    });
    is_deeply(\@done, [ 201, 202 ], 'it is deleted, and then moved');
    is(slurp("$seen/asked"), "<>\n<" . digest($one) . ">\n<>\n", 'the hook was asked again, with what was true then');
    is(tag_of($registry, 'a/b', 'v1'), digest($two), 'the tag is the pushed one');
    $registry->stop;
};

subtest 'files that come and go' => sub {
    my $registry = Registry->start;
    my $manifest = prepared($registry, 'a/b');
    my $refusing = "#!/bin/sh\necho no\nexit 1\n";
    is(scalar $registry->children('worker gate'), 0, 'without a pre-hook nobody waits for one');
    hook_file($registry->dir, 'pre-tag.sample', $refusing);
    hook_file($registry->dir, 'pre-tag',        $refusing, 0644);
    ok(wait_for(5, sub { $registry->logged(qr/a hook can't be run.*pre-tag is not executable.*chmod \+x/) }), 'one that is not executable is said');
    is_error($registry->put_manifest('a/b', 'v1', $manifest), 403, 'DENIED', '... and lets nothing through');
    unlink $registry->dir . '/hooks/pre-tag';
    symlink '/no/such/script', $registry->dir . '/hooks/pre-tag';
    is_error($registry->put_manifest('a/b', 'v1', $manifest), 403, 'DENIED', 'neither does a link that leads nowhere');
    unlink $registry->dir . '/hooks/pre-tag';
    is_status($registry->put_manifest('a/b', 'v1', $manifest), 201, 'a sample is no hook');
    hook_file($registry->dir, 'pre-tag', $refusing);
    is_error($registry->put_manifest('a/b', 'v1', $manifest), 403, 'DENIED', 'an executable one is, at once');
    ok(wait_for(10, sub { $registry->children('worker gate') == 4 }), '... and gets workers of its own');
    ok(wait_for(10, sub { $registry->put_manifest('a/b', 'v1', $manifest); -e $registry->dir . '/run/pre-hooks' }), '... which nginx knows');
    hook_file($registry->dir, 'pre-tag', "echo no shebang\n");
    my $broken = $registry->put_manifest('a/b', 'v1', $manifest);
    is_error($broken, 403, 'DENIED', 'one that cannot run refuses');
    like($broken->message, qr/pre-tag can't be run/, '... and says so');
    ok(wait_for(5, sub { $registry->logged(qr/a hook can't be run.*begin with a line such as/) }), '... as does the log');
    $registry->put_manifest('a/b', 'v1', $manifest) for 1 .. 5;
    is(scalar(() = $registry->logged(qr/a hook can't be run.*begin with/)), 1, '... once');
    kill 'HUP', $registry->pid;
    ok(wait_for(5, sub { 2 == (() = $registry->logged(qr/a hook can't be run.*begin with/)) }), '... and once more after SIGHUP');
    unlink $registry->dir . '/hooks/pre-tag';
    is_status($registry->put_manifest('a/b', 'v1', $manifest), 201, 'without it pushes go on');
    ok(wait_for(5, sub { !-e $registry->dir . '/run/pre-hooks' }), 'nginx knows that, too');
    $registry->stop;
    ok(!-e $registry->dir . '/run/pre-hooks', 'nothing of it is left');

    my $own = open_dir();
    hook_file($own, 'pre-tag', qq{#!/bin/sh\necho "\$0 \$2"\nexit 1\n});
    $registry = Registry->start(args => [ '--hooks', "$own/hooks" ]);
    is($registry->put_manifest('a/b', 'v1', prepared($registry, 'a/b'))->message, "$own/hooks/pre-tag a/b:v1", 'a directory of one\'s own');
    is(scalar $registry->children('worker gate'), 4, 'the workers are there from the start');
    rename "$own/hooks", "$own/away";
    my $gone = $registry->put_manifest('a/b', 'v1', prepared($registry, 'a/b'));
    is_error($gone, 403, 'DENIED', '... and when it is gone, nothing is let through');
    like($gone->message, qr/pre-tag can't be run/, '... which is said');
    ok(wait_for(5, sub { $registry->logged(qr{hook=pre-tag.*\Q$own\E/hooks, the directory of --hooks, is missing}) }), '... with the reason in the log');
    mkdir "$own/hooks";
    is_status($registry->put_manifest('a/b', 'v1', prepared($registry, 'a/b')), 201, 'an empty one has no hooks');
    $registry->stop;
};

finish();
