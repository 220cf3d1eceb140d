# "docker-registry-server audit": who pushed, moved and deleted what, by which command, and who sent wrong passwords.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;

my $me = 'command:' . getpwuid $<;

sub audit ($dir, @args) { return Registry->try([ 'audit', '--dir', $dir, @args ]) }

# Each entry as "user what name", without those that are asked for by `but`.
sub entries ($dir, @args) {
    my $ran = audit($dir, '--json', @args);
    is($ran->{exit}, 0, "audit @args") or diag($ran->{err});
    return map { decode_json($_) } split /\n/, $ran->{out};
}

sub short ($e) {
    my $name = $e->{repository} // $e->{about} // '';
    return join ' ', $e->{user} || '-', $e->{what}, $name . (defined $e->{tag} ? ":$e->{tag}" : '') || ();
}

sub shorts (@args) { return [ map { short($_) } entries(@args) ] }

sub image ($registry, $note) {
    my $layer = random_bytes(300);
    my ($config, $manifest) = $registry->image_of([$layer], note => $note);
    $registry->push_blob('team/app', $_) for $layer, $config;
    return $manifest;
}

my $registry = Registry->start(args => [ '--user', 'ann:secret-of-ann', '--user', 'bob:secret-of-bob', '--lease', '1s', '--max-wrong-passwords', '0' ]);
my $dir      = $registry->dir;
my ($ann, $bob) = map { $registry->with(user => "$_:secret-of-$_") } qw(ann bob);
my ($one, $two) = map { image($ann, $_) } 1, 2;

subtest 'what clients do' => sub {
    is_status($ann->put_manifest('team/app', '1.0', $one), 201, 'ann pushes');
    is_status($ann->put_manifest('team/app', '1.0', $one), 201, 'the same again');
    is_status($bob->put_manifest('team/app', '1.0', $two), 201, 'bob moves the tag');
    is_status($bob->put_manifest('team/app', digest($one), $one), 201, 'and pushes what is there already');
    is_status($bob->delete('/v2/team/app/manifests/1.0'), 202, 'he deletes the tag');
    is_status($ann->delete('/v2/team/app/manifests/' . digest($one)), 202, 'she deletes a manifest');
    my @all = grep { $_->{repository} } entries($dir);
    is_deeply([ map { short($_) } @all ], [
        'ann pushed team/app', 'ann tagged team/app:1.0', 'ann tagged-again team/app:1.0',
        'bob pushed team/app', 'bob moved team/app:1.0', 'bob untagged team/app:1.0', 'ann deleted team/app',
    ], 'all of it, in order') or diag(explain(\@all));
    my ($moved) = grep { $_->{what} eq 'moved' } @all;
    is("$moved->{before} $moved->{digest}", digest($one) . ' ' . digest($two), 'from where and where to');
    my ($untagged) = grep { $_->{what} eq 'untagged' } @all;
    is($untagged->{digest}, digest($two), 'what a deleted tag led to');
    like($untagged->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'when');

    my $text = audit($dir, '--repo', 'team/app', '--user', 'bob')->{out};
    like($text, qr/^\S+Z  bob {13}  untagged      team\/app:1\.0  \Q@{[ digest($two) ]}\E$/m, 'a line for people: who deleted my tag');
    unlike($text, qr/ ann /, '... and only his');
    is_deeply(shorts($dir, '--repo', 'other/**'), [], 'nothing of other repositories');
    is_deeply(shorts($dir, '--repo', 'team/*', '--user', 'ann'), [ grep { /^ann/ } map { short($_) } @all ], 'by a pattern');
};

subtest 'what administrators do' => sub {
    is_status($ann->put_manifest('team/app', $_, $two), 201, "tag $_") for qw(a b old);
    my $retain = tempdir();
    chmod 0755, $retain;
    spew("$retain/rules", "team/app keep match a, match b\n");
    chmod 0644, "$retain/rules";
    works(Registry->try([ 'retain', '--retain', "$retain/rules", '--dir', $dir ]), 'retain');
    works(Registry->try([ 'tag', 'rm', 'team/app:a', '--dir', $dir ]), 'tag rm');
    works(Registry->try([ 'tag', 'restore', 'team/app:a', '--dir', $dir ]), 'tag restore');
    works(Registry->try([ 'repo', 'rm', 'team/app', '--now', '--dir', $dir ]), 'repo rm');
    my @mine = grep { /^\Q$me\E/ } @{ shorts($dir) };
    is_deeply(\@mine, [
        "$me untagged team/app:old", "$me untagged team/app:a", "$me tagged team/app:a",
        "$me untagged team/app:a", "$me untagged team/app:b", "$me deleted team/app",
    ], 'each with the user of the system') or diag(explain(\@mine));
    is_deeply($ann->get('/v2/team/app/tags/list')->json->{tags}, [], 'all of the repository is gone');
    is(scalar(grep { /team\/app/ } @{ shorts($dir) }) > 10, 1, '... and stays in the audit');

    my $untagged = image($ann, 'untagged');
    is_status($ann->put_manifest('team/app', digest($untagged), $untagged), 201, 'a manifest without a tag');
    wait_for(20, sub { Registry->try([ 'gc', '--untagged', '1s', '--dir', $dir ])->{out} =~ /^gone: 1 manifest,/m }) or fail('gc --untagged');
    is(shorts($dir, '--user', $me, '--repo', 'team/app')->[-1], "$me deleted team/app", 'gc --untagged');

    works(Registry->try([ 'user', 'add', 'carl', '--dir', $dir ], stdin => "secret-of-carl\n"), 'user add');
    works(Registry->try([ 'user', 'passwd', 'carl', '--dir', $dir ], stdin => "secret-of-carl-2\n"), 'user passwd');
    works(Registry->try([ 'user', 'del', 'carl', '--dir', $dir ]), 'user del');
    works(Registry->try([ 'rotate-key', '--dir', $dir ]), 'rotate-key');
    is_deeply([ @{ shorts($dir, '--user', $me) }[ -4 .. -1 ] ], [ "$me user-add carl", "$me user-passwd carl", "$me user-del carl", "$me rotate-key" ], 'commands that change no image');
};

subtest 'wrong passwords' => sub {
    my $before = shorts($dir);
    is($registry->with(user => 'ann:wrong-secret')->get('/v2/')->status,     401, 'a wrong password');
    is($registry->with(user => 'nobody:wrong-secret')->get('/v2/')->status, 401, 'no such user');
    is($registry->with(user => "e\x{1b}[2Jvil \"\xff\xc3\xa9:wrong-secret")->get('/v2/')->status, 401, 'a name of any bytes') for 1 .. 9;
    ok(wait_for(10, sub { scalar(grep { $_->{what} eq 'login-failed' } entries($dir)) == 2 }), 'the first one, and ten more') or diag(audit($dir)->{out});
    my @failed = grep { $_->{what} eq 'login-failed' } entries($dir);
    is(short($failed[0]), 'ann login-failed 127.0.0.1', 'who, and from where');
    is($failed[1]{times}, 10, 'ten are one entry');
    is($failed[1]{user}, "e\x{1b}[2Jvil \"?\x{e9}", 'the last of them, as JSON');
    my $text = audit($dir)->{out};
    like($text, qr/^\S+  ann {13}  login-failed  127\.0\.0\.1$/m, 'for people');
    like($text, qr/^\S+  e\\x1b\[2Jvil\\x20"\?\\xc3\\xa9  login-failed  127\.0\.0\.1  10 times$/m, '... without control characters or blanks');
    is_deeply([ grep { !/login-failed/ } @{ shorts($dir) } ], $before, 'the others are there');
};

subtest 'many of them take a bounded room' => sub {
    my $file = "$dir/audit/logins";
    my $size = -s $file;
    my @c    = map { $registry->connect } 1 .. 20;
    my $guess = 'Basic ' . encode_base64('ann:wrong-secret', "");
    for (1 .. 15) {
        $_->send("GET /v2/ HTTP/1.1\r\nHost: x\r\nAuthorization: $guess\r\n\r\n") for @c;
        $_->response('GET') for @c;
    }
    $_->close for @c;
    ok(wait_for(10, sub { (entries($dir))[-1]{times} == 100 }), 'a hundred are one entry');
    cmp_ok(-s $file, '<', $size + 500, 'three hundred wrong passwords are a few lines');
};

subtest 'the file is bounded' => sub {
    my $file = "$dir/audit/logins";
    my $line = slurp($file) =~ s/\n.*//sr . "\n";
    is(short(decode_json($line)), 'ann login-failed 127.0.0.1', 'a line');
    $registry->stop;
    spew($file, $line x (4 * 1024 * 1024 / length($line) + 1) . '{"time":1,' . "\n");
    my $again = Registry->start(dir => $dir, args => [ '--user', 'ann:secret-of-ann' ]);
    is($again->with(user => 'zoe:x')->get('/v2/')->status, 401, 'a wrong password');
    ok(wait_for(10, sub { -e "$file.1" && -s $file }), 'a full file is put aside');
    cmp_ok(-s $file, '<', 500, '... and a new one begun');
    my @zoe = entries($dir, '--user', 'zoe');
    is_deeply([ map { short($_) } @zoe ], ['zoe login-failed 127.0.0.1'], 'both are read, and a line that is none is passed over');
    cmp_ok(scalar(@{ shorts($dir, '--repo', 'team/app') }), '>', 10, 'what was pushed and deleted stays');
    $again->stop;
};

subtest 'without a server, and bounds' => sub {
    is(shorts($dir, '--user', 'bob')->[-1], 'bob untagged team/app:1.0', 'without a server');
    is_refused(audit($dir, 'team/app'), qr/usage: docker-registry-server audit/, 'a word');
    is_refused(audit($dir, '--since', 'yesterday'), qr/--since/, 'a time that is none');
    is_refused(audit($dir, '--repo', 'a[b'), qr/--repo/, 'a pattern that is none');
    my $none = audit(tempdir());
    is($none->{exit}, 1, 'no registry');
    my $kept = Registry->start(dir => $dir, user => 'ann:secret-of-ann', args => [ '--user', 'ann:secret-of-ann', '--event-keep', '1s', '--gc-interval', '1s' ]);
    ok(wait_for(30, sub { !@{ shorts($dir, '--repo', '**') } }), 'events go with --event-keep');
    is_status($kept->push_image('x/y', '1', [ random_bytes(100) ]), 201, 'a push');
    $kept->stop;
    like(audit($dir)->{err}, qr/what happened before \S+Z is no longer kept \(see --event-keep\)/, 'which is told');
    is(slurp("$dir/audit/commands") =~ /secret-of/, '', 'no password is in any of it');
    unlike(slurp("$dir/audit/logins") . slurp("$dir/audit/logins.1"), qr/secret/, '... wrong ones neither');
    spew("$dir/audit/commands", slurp("$dir/audit/commands") . '{"time":' . int(1000 * time) . ',"what":"hook\u001b[2J","user":"of \u009b"}' . "\n");
    like(audit($dir)->{out}, qr/^\S+  of\\x20\\xc2\\x9b\s+hook\\x1b\[2J +-$/m, 'what a hook writes into the file moves no cursor');
};

finish();
