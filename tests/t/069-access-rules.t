# Rules say who may do what (docker-registry-server-config(5), ACCESS RULES): on every way into the registry, and
# without telling what else there is.
use v5.36;
use Registry limit => 180;
use Registry::Checks;
use Registry::Manual;
use Registry::Tools;
use Registry::V1;
use Test::More;
use Time::HiRes qw(sleep time);

my %PASSWORD = (ann => 'ann-secret', bob => 'bob-secret', ci => 'ci-secret', eve => 'eve-secret');
my $RULES    = <<'END';
# the team
team/**      @devs      pull,push,delete
team/**      ci         pull,create

shared/**    *          pull
public/**    anonymous  pull
{user}/**    {user}     all
END

my $tmp = tempdir();
my $dir = "$tmp/data";
mkdir $_ for $dir, "$dir/auth";
chown((getpwnam 'www-data')[2, 3], "$dir/auth") if is_root();
write_file("$dir/auth/access", $RULES);
write_file("$dir/auth/groups", "# who is who\ndevs: ann\n");
my $registry = Registry->start(dir => $dir, expected => qr/access rules stay as they were/, args => [ map { ('--user', "$_:$PASSWORD{$_}") } sort keys %PASSWORD ]);

sub as ($user) { return $registry->with(defined $user ? (user => "$user:$PASSWORD{$user}") : ()) }

sub write_file ($name, $text) {
    open my $out, '>', "$name.new" or die "$name: $!";
    print {$out} $text;
    close $out;
    rename "$name.new", $name or die "$name: $!";
    return;
}

my ($ann, $bob, $ci, $eve, $stranger) = (map({ as($_) } qw(ann bob ci eve)), as(undef));
my $layer = random_bytes(3000);

# What a client without a password shows for a list.
sub bearer_of_stranger ($of) {
    return { Authorization => 'Bearer ' . $of->with->get('/v2/_token?scope=registry:catalog:*')->json->{token} };
}

# Everything but what differs from answer to answer.
# An answer without what is another each time. A token of the first API has the second of its end.
sub shape ($response) {
    my %headers = %{ $response->{headers} };
    delete $headers{date};
    return join "\n", $response->status, (map { "$_: @{ $headers{$_} }" =~ s/\b(\w+)\.\d+\.[A-Za-z0-9+\/]{43}$/$1.TOKEN/r } sort keys %headers),
        $response->content =~ s/"request_id":"[0-9a-f]+"/"request_id":"REQUEST"/gr;
}

subtest 'who may push, and who may pull' => sub {
    is_status($ann->push_image('team/app', 'v1', [$layer]), 201, 'a member of the group pushes');
    is_status($bob->push_image('bob/own',  'v1', [$layer]), 201, 'a user pushes below his name');
    is_status($ann->push_image('ann/public', 'v1', [$layer]), 201, '... and so does another');
    is_error($bob->get('/v2/team/app/manifests/v1'), 403, 'DENIED', 'another user may not pull from the team');
    is_error($bob->post('/v2/team/app/blobs/uploads/', body => ''), 403, 'DENIED', '... nor push to it');
    is_error($bob->post('/v2/shared/x/blobs/uploads/', body => ''), 403, 'DENIED', '... nor to what all may pull');
    is_error($eve->put_manifest('bob/own', 'v1', '{}'), 403, 'DENIED', '... nor to another user');
    is($stranger->get('/v2/team/app/manifests/v1')->status, 401, 'a client without a password is asked for one');
    is_status($ci->get('/v2/team/app/manifests/v1'), 200, 'the CI may pull');
    is_error($ci->delete('/v2/team/app/manifests/v1'), 403, 'DENIED', '... and not delete');
};

subtest 'a CI adds tags and moves none' => sub {
    is_status($ci->push_image('team/app', 'build-1', [$layer]), 201, 'it adds a tag');
    is_status($ci->push_image('team/app', 'build-1', [$layer]), 201, '... and may push the same again');
    is_error($ci->push_image('team/app', 'v1', [$layer], note => 'another'), 403, 'DENIED', 'it moves no tag');
    my ($config, $manifest) = $ci->image_of([$layer], note => 'another');
    is_status($ci->put_manifest('team/app', digest($manifest), $manifest), 201, 'a manifest without a tag is no move');
    is($ann->get('/v2/team/app/manifests/v1')->header('Docker-Content-Digest') eq digest($manifest), '', 'the tag is where it was');
    is_status($ann->put_manifest('team/app', 'v1', $manifest), 201, 'a developer moves it');
};

subtest 'what is hidden looks like what is not there' => sub {
    for my $client ([ 'a user', $bob ], [ 'a stranger', $stranger ]) {
        my ($who, $as) = @$client;
        for my $path ('manifests/v1', 'tags/list', 'blobs/' . digest($layer), 'referrers/' . digest($layer),
            '_image/v1/tree/', '_image/v1/history', 'blobs/uploads/' . '0' x 32) {
            my ($there, $missing) = map { shape($as->get("/v2/$_/$path")) =~ s/\Q$_\E/NAME/gr } 'team/app', 'team/abc';
            is($there, $missing, "$who, $path");
        }
        my ($there, $missing) = map { shape($as->get("/v1/repositories/$_/tags")) =~ s/\Q$_\E/NAME/gr } 'team/app', 'team/abc';
        is($there, $missing, "$who, tags of the first API");
    }
};

subtest 'lists have what a client may pull' => sub {
    is_status($ann->push_image('ann/x', 'v1', [$layer]), 201, 'something more');
    my %want = (ann => [qw(ann/public ann/x team/app)], bob => ['bob/own'], ci => ['team/app'], eve => []);
    for my $user (sort keys %want) {
        is_deeply(as($user)->get('/v2/_catalog')->json->{repositories}, $want{$user}, "$user: the catalog");
        my $found = as($user)->get('/v1/search?q=a')->json;
        is_deeply([ map { $_->{name} } @{ $found->{results} } ], [ grep { /a/ } @{ $want{$user} } ], "$user: a search");
        is($found->{num_results}, scalar(grep { /a/ } @{ $want{$user} }), '... and its number');
        my $all = as($user)->get("/v1/repositories")->content;
        is(scalar(() = $all =~ m{team/app}g) > 0 ? 1 : 0, (grep { $_ eq 'team/app' } @{ $want{$user} }) ? 1 : 0, "$user: all tags");
    }
    my $asked = $stranger->get('/v2/_catalog');
    is_error($asked, 401, 'UNAUTHORIZED', 'a stranger is asked for a token, so that clients with a password show one');
    like($asked->header('WWW-Authenticate'), qr/^Bearer .*scope="registry:catalog:\*"/, '... for lists');
    my $list = $stranger->get('/v2/_catalog', headers => bearer_of_stranger($registry));
    is_status($list, 200, '... and with it gets a list');
    is_deeply($list->json->{repositories}, [], '... of nothing here');
    is($stranger->get('/v2/')->status, 401, '... and is asked for a password at the base, so that docker logs in');
};

subtest 'blobs and uploads' => sub {
    my $secret = random_bytes(2000);
    is_status($ann->push_blob('team/app', $secret), 201, 'a secret blob');
    my $digest = digest($secret);
    for my $from ('', '&from=team/app') {
        my $mount = $bob->post("/v2/bob/own/blobs/uploads/?mount=$digest$from", body => '');
        is($mount->status, 202, "isn't mounted by who may not pull it ($from)");
        is($bob->head("/v2/bob/own/blobs/$digest")->status, 404, '... and is not there');
    }
    is($ann->post("/v2/ann/x/blobs/uploads/?mount=$digest", body => '')->status, 201, 'who may, mounts it');
    my $upload = $ann->start_upload('team/app');
    is($ci->get($upload)->status, 404, 'an upload is its user\'s');
    is($ci->patch($upload, body => 'x')->status, 404, '... only');
    is($ann->get($upload =~ s{team/app}{ann/x}r)->status, 404, '... and of its repository');
    is($ann->delete($upload)->status, 204, '... who ends it');
};

subtest 'images of the first API' => sub {
    my ($id, $child) = map { unpack 'H*', random_bytes(32) } 1 .. 2;
    my $put = sub ($as, $image, $parent, $bytes) {
        my $json  = json_of({ id => $image, defined $parent ? (parent => $parent) : () });
        my $first = $as->put("/v1/images/$image/json", body => $json);
        return $first if $first->status != 200;
        my $second = $as->put("/v1/images/$image/layer", body => $bytes);
        return $second if $second->status != 200;
        return $as->put("/v1/images/$image/checksum", body => '',
            headers => { 'X-Docker-Checksum-Payload' => Registry::V1::payload_of($json, $bytes) });
    };
    my $tar = Registry::V1::tar_of([ 'secret.txt', 'a secret' ]);
    is_status($put->($ann, $id, undef, $tar), 200, 'an image is pushed');
    is_status($ann->put("/v1/repositories/team/old/tags/v1", body => "\"$id\""), 200, '... and tagged');
    is_status($ann->get("/v1/images/$id/json"), 200, 'who may pull it reads it by its id');
    for my $what (qw(json layer ancestry), 'tree/', 'blobs/secret.txt') {
        is($bob->get("/v1/images/$id/$what")->status, 404, "who may not gets no $what");
        is($stranger->get("/v1/images/$id/$what")->status, 404, '... nor does a stranger');
    }
    is($bob->get('/v1/images/' . substr($id, 0, 12) . '/json')->status, 404, '... by a short id neither');
    is($bob->put("/v1/repositories/bob/old/tags/v1", body => "\"$id\"")->status, 404, 'he can\'t tag it');
    is($put->($bob, $child, $id, $tar)->status, 400, '... nor build upon it');
    my $manifest = $ann->get('/v2/team/app/manifests/v1')->json;
    my $config   = $manifest->{config}{digest} =~ s/^sha256://r;
    is($ann->get("/v1/images/$config/json")->status, 200, 'an image of the second API has an id, too');
    is($bob->get("/v1/images/$config/json")->status, 404, '... which shows nothing to who may not pull it');
    is($bob->put("/v1/repositories/bob/old/tags/v1", body => "\"$config\"")->status, 404, '... and can\'t be tagged by him');
};

subtest 'a name of one part, for clients of the first API' => sub {
    my $rules = slurp("$dir/auth/access");
    write_file("$dir/auth/access", "alpha bob pull,push\nbravo bob pull,push\nlibrary/charlie bob pull\nlibrary/alpha ann all\ncharlie ann all\n$rules");
    ok(wait_for(10, sub { $bob->get('/v2/alpha/tags/list')->status == 404 }), 'a rule for names of one part');
    is_status($ann->push_image($_, 'v1', [$layer]), 201, "$_ is pushed") for 'library/alpha', 'charlie';
    for my $what (qw(tags images)) {
        my ($there, $missing) = map { shape($bob->get("/v1/repositories/$_/$what")) =~ s/\Q$_\E/NAME/gr } 'alpha', 'bravo';
        is($there, $missing, "$what: the repository of the other name is hidden");
    }
    is($bob->get('/v1/repositories/library/charlie/tags')->status, 404, '... in both directions');
    is($ann->get('/v1/repositories/alpha/tags')->status, 200, 'who has a right to it means it');
    is($bob->put('/v1/repositories/alpha/', body => '[]')->status, 200, 'his own can be pushed');
    write_file("$dir/auth/access", $rules);
    ok(wait_for(10, sub { $bob->get('/v2/alpha/tags/list')->status == 403 }), 'the rules are as before');
    $ann->delete("/v2/$_/manifests/v1") for 'library/alpha', 'charlie';
};

subtest 'events' => sub {
    my %seen = map {
        my $url = 'http://127.0.0.1:' . $registry->port . '/v1/events?since=0';
        ($_ => run([ 'curl', '-sN', '--max-time', '2', '-u', "$_:$PASSWORD{$_}", $url ])->{out});
    } qw(ann bob);
    like($seen{ann}, qr{team/app},          'one who may pull hears of a push');
    like($seen{bob}, qr{bob/own},           'another hears of his own');
    unlike($seen{bob}, qr{team/|ann/},      '... and of nothing else');
};

subtest 'changes count at once, and mistakes change nothing' => sub {
    my $log = length $registry->log;
    write_file("$dir/auth/access", "$RULES\nteam/** bob pul\n");
    ok(wait_for(10, sub { substr($registry->log, $log) =~ /access rules stay as they were/ }), 'a mistake is logged');
    like(substr($registry->log, $log), qr/auth\/access:9: .*pul/, '... with its line');
    is($bob->get('/v2/team/app/manifests/v1')->status, 403, 'the old rules hold');
    is($ann->get('/v2/team/app/manifests/v1')->status, 200, '... for all');
    write_file("$dir/auth/access", "team/** bob pull\n$RULES");
    ok(wait_for(10, sub { $bob->get('/v2/team/app/manifests/v1')->status == 200 }), 'a right is given');
    write_file("$dir/auth/groups", "devs: bob\n");
    ok(wait_for(10, sub { $ann->get('/v2/team/app/manifests/v1')->status == 403 }), 'who leaves a group loses its rights');
    unlink "$dir/auth/access";
    sleep 2.5;
    is($eve->get('/v2/team/app/manifests/v1')->status, 403, 'a file of rules that goes opens nothing');
    kill HUP => $registry->pid;
    ok(wait_for(10, sub { $eve->get('/v2/team/app/manifests/v1')->status == 200 }), '... before SIGHUP');
};

$registry->stop;

subtest 'at the start' => sub {
    write_file("$dir/auth/access", "team/** \@nobody pull\n");
    my $refused = Registry->try([ '--dir', $dir, '--listen', '127.0.0.1', '--port', '0' ]);
    is($refused->{exit}, 1, 'a mistake is refused');
    like($refused->{err}, qr/auth\/access:1: .*nobody/, '... with its line');
    unlink "$dir/auth/access";
    my $missing = Registry->try([ '--dir', $dir, '--listen', '127.0.0.1', '--port', '0', '--access', "$tmp/none" ]);
    isnt($missing->{exit}, 0, 'a file that is named must be there');
    like($missing->{err}, qr/none/, '... says its name');
};

subtest 'as README says' => sub {
    my ($line) = grep { /auth\/access/ } readme_examples('Users and TLS');
    my $home   = tempdir();
    my $fresh  = Registry->start(dir => "$home/registry", args => [ '--user', 'ann:x', '--user', 'bob:x' ]);
    my $user   = $fresh->with(user => 'ann:x');
    works(run([ 'sh', '-c', "cd '$home' && $line" ]), 'the rules are written');
    ok(wait_for(10, sub { $fresh->get('/v2/_token?scope=registry:catalog:*')->status == 200 }), 'they count');
    is_status($user->push_image('a/b', 'v1', [$layer]), 201, 'ann pushes');
    is_status($fresh->get('/v2/a/b/manifests/v1'), 200, 'everybody pulls');
    is($fresh->with(user => 'bob:x')->post('/v2/a/b/blobs/uploads/', body => '')->status, 403, 'bob does not push');
    $fresh->stop;
};

subtest 'without rules' => sub {
    my $open = Registry->start(args => [ '--user', 'ann:x', '--anonymous-pull' ]);
    my $user = $open->with(user => 'ann:x');
    is_status($user->push_image('a/b', 'v1', [$layer]), 201, 'a user pushes');
    is_status($open->get('/v2/a/b/manifests/v1'), 200, 'with --anonymous-pull everybody pulls');
    is_status($open->get('/v2/_catalog', headers => bearer_of_stranger($open)), 200, '... and lists');
    is($open->get('/v2/')->status, 401, '... and docker is asked to log in');
    is($open->post('/v2/a/b/blobs/uploads/', body => '')->status, 401, 'who pushes needs a password');
    is($open->delete('/v2/a/b/manifests/v1')->status, 401, '... and who deletes');
    $open->stop;

    my $rules = "$tmp/rules";
    write_file($rules, "** anonymous pull,push\n");
    symlink $rules, "$tmp/link" or die $!;
    my $given = Registry->start(args => [ '--access', "$tmp/link" ], expected => qr/(access rules|users) stay as they were/);
    is_status($given->push_image('a/b', 'v1', [$layer]), 201, 'rules without users let strangers do what they say');
    is($given->delete('/v2/a/b/manifests/v1')->status, 401, '... and no more');
    like($given->log, qr/there are access rules, but no users: nobody can log in; user add makes one/, '... with a warning');

    write_file("$rules.closed", "** anonymous none\n");
    chmod 0, "$rules.closed" or die $!;
    rename "$rules.closed", $rules or die $!;
    ok(wait_for(5, sub { $given->logged(qr/stay as they were" why="the user that the server runs as can't read \Q$tmp\E\/link: change/) }),
        'rules that cannot be read: the log says what to do');
    is_status($given->get('/v2/a/b/manifests/v1'), 200, '... and the rules before hold');
    my $users = $given->dir . '/auth/htpasswd';
    write_file("$users.closed", "ann:{PLAIN}x\n");
    chmod 0, "$users.closed" or die $!;
    rename "$users.closed", $users or die $!;
    ok(wait_for(5, sub { $given->logged(qr/users stay as they were" why="the user that the server runs as can't read auth\/htpasswd: change/) }),
        '... and so does a password file');
    unlink $users or die $!;
    symlink $rules, $users or die $!;
    ok(wait_for(5, sub { $given->logged(qr/users stay as they were" why="auth\/htpasswd is a symbolic link: put the file/) }), '... also as a link');
};

finish();
